/* For tests under Wine only, whose Restart Manager says of every file that nobody has it open.
 *
 * It takes the place of the four functions that lockfast calls. Who has a file open is found in the
 * system's table of handles, which Wine has: each is duplicated, and asked which file it is of.
 */
#include <windows.h>
#include <winternl.h>
#include <restartmanager.h>

typedef NTSTATUS(NTAPI *query_function)(int, void *, ULONG, ULONG *);

struct handle {
    void *object;
    ULONG_PTR pid, value;
    ULONG access;
    USHORT trace, type;
    ULONG attributes, reserved;
};

struct table {
    ULONG_PTR count, reserved;
    struct handle handles[];
};

/* What a session was asked about; its number is the place, from 1 on. */
static struct session {
    BOOL is_open, is_asked;
    BY_HANDLE_FILE_INFORMATION file;
} sessions[64];

static SRWLOCK mutex = SRWLOCK_INIT;

static struct session *find(DWORD number) {
    BOOL is_one = number > 0 && number <= 64 && sessions[number - 1].is_open;
    return is_one ? &sessions[number - 1] : NULL;
}

DWORD WINAPI start(DWORD *, DWORD, WCHAR *) __asm__("RmStartSession");
DWORD WINAPI end(DWORD) __asm__("RmEndSession");
DWORD WINAPI register_files(DWORD, UINT, LPCWSTR *, UINT, void *, UINT, LPCWSTR *) __asm__("RmRegisterResources");
DWORD WINAPI list(DWORD, UINT *, UINT *, RM_PROCESS_INFO *, DWORD *) __asm__("RmGetList");

DWORD WINAPI start(DWORD *number, DWORD flags, WCHAR *name) {
    enum { TOO_MANY_SESSIONS = 353 };
    DWORD answer = TOO_MANY_SESSIONS;
    if (flags) return ERROR_BAD_ARGUMENTS;
    AcquireSRWLockExclusive(&mutex);
    for (DWORD place = 0; place < 64 && answer; place++) {
        if (sessions[place].is_open) continue;
        ZeroMemory(&sessions[place], sizeof sessions[place]);
        sessions[place].is_open = TRUE;
        *number = place + 1;
        for (size_t letter = 0; letter < CCH_RM_SESSION_KEY; letter++) name[letter] = L'0';
        name[CCH_RM_SESSION_KEY] = 0;
        answer = ERROR_SUCCESS;
    }
    ReleaseSRWLockExclusive(&mutex);
    return answer;
}

DWORD WINAPI end(DWORD number) {
    struct session *session = find(number);
    if (!session) return ERROR_INVALID_HANDLE;
    session->is_open = FALSE;
    return ERROR_SUCCESS;
}

DWORD WINAPI register_files(DWORD number, UINT files, LPCWSTR *paths, UINT applications, void *which,
                            UINT services, LPCWSTR *names) {
    struct session *session = find(number);
    (void)which, (void)names;
    if (!session || files != 1 || applications || services) return ERROR_INVALID_HANDLE;
    DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    HANDLE file = CreateFileW(paths[0], FILE_READ_ATTRIBUTES, share, NULL, OPEN_EXISTING,
                              FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (file == INVALID_HANDLE_VALUE) return GetLastError();
    session->is_asked = GetFileInformationByHandle(file, &session->file);
    CloseHandle(file);
    return session->is_asked ? ERROR_SUCCESS : GetLastError();
}

static BOOL is_same(const BY_HANDLE_FILE_INFORMATION *one, const BY_HANDLE_FILE_INFORMATION *other) {
    return one->dwVolumeSerialNumber == other->dwVolumeSerialNumber &&
           one->nFileIndexHigh == other->nFileIndexHigh && one->nFileIndexLow == other->nFileIndexLow;
}

/* Is that handle of that process one of the file? */
static BOOL is_of(HANDLE process, HANDLE handle, const BY_HANDLE_FILE_INFORMATION *file) {
    BY_HANDLE_FILE_INFORMATION found;
    HANDLE copy;
    if (!DuplicateHandle(process, handle, GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return FALSE;
    BOOL is_file = GetFileType(copy) == FILE_TYPE_DISK && GetFileInformationByHandle(copy, &found);
    CloseHandle(copy);
    return is_file && is_same(&found, file);
}

static struct table *table_of_handles(void) {
    enum { EXTENDED_HANDLES = 64, MISMATCH = (int)0xC0000004 };
    FARPROC function = GetProcAddress(GetModuleHandleA("ntdll.dll"), "NtQuerySystemInformation");
    query_function query = (query_function)(void *)function;
    for (ULONG size = 1 << 16;; size *= 2) {
        void *table = HeapAlloc(GetProcessHeap(), 0, size);
        NTSTATUS status = query(EXTENDED_HANDLES, table, size, NULL);
        if (!status) return table;
        HeapFree(GetProcessHeap(), 0, table);
        if (status != MISMATCH) return NULL;
    }
}

DWORD WINAPI list(DWORD number, UINT *needed, UINT *count, RM_PROCESS_INFO *to, DWORD *reasons) {
    struct session *session = find(number);
    struct table *table = table_of_handles();
    FILETIME none;
    UINT found = 0;
    ULONG_PTR last = 0;
    if (!session || !session->is_asked || !table) return ERROR_INVALID_HANDLE;
    *reasons = 0;
    /* The handles of a process are in a row. */
    for (ULONG_PTR place = 0; place < table->count; place++) {
        const struct handle *handle = &table->handles[place];
        DWORD rights = PROCESS_DUP_HANDLE | PROCESS_QUERY_INFORMATION;
        if (handle->pid == last) continue;
        HANDLE process = OpenProcess(rights, FALSE, (DWORD)handle->pid);
        if (!process) continue;
        if (is_of(process, (HANDLE)handle->value, &session->file)) {
            last = handle->pid;
            if (found < *count) {
                RM_PROCESS_INFO *info = &to[found];
                ZeroMemory(info, sizeof *info);
                info->Process.dwProcessId = (DWORD)handle->pid;
                GetProcessTimes(process, &info->Process.ProcessStartTime, &none, &none, &none);
                lstrcpyW(info->strAppName, L"an application");
            }
            found++;
        }
        CloseHandle(process);
    }
    HeapFree(GetProcessHeap(), 0, table);
    *needed = found;
    if (found > *count) return ERROR_MORE_DATA;
    *count = found;
    return ERROR_SUCCESS;
}

/* What Rust calls them by. */
void *__imp_RmStartSession = (void *)start;
void *__imp_RmEndSession = (void *)end;
void *__imp_RmRegisterResources = (void *)register_files;
void *__imp_RmGetList = (void *)list;

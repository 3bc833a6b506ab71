/* For tests under Wine only, whose overlapped LockFileEx never completes when it has to wait.
 *
 * Linked before the system's import libraries, it takes the place of two of their functions. A request
 * that has to wait is made again by a thread of its own, without waiting, until it is granted or
 * cancelled; then it is completed as Windows would complete it: status, event, and 995 for one that was
 * cancelled. So the library's own code runs as it would on Windows. How fast Windows is, and in which
 * order it serves, this can't show.
 */
#include <windows.h>
#include <winternl.h>

#define STATUS_IS_PENDING ((ULONG_PTR)0x00000103)
#define STATUS_IS_CANCELLED ((ULONG_PTR)0xC0000120)

typedef BOOL(WINAPI *lock_function)(HANDLE, DWORD, DWORD, DWORD, DWORD, LPOVERLAPPED);
typedef BOOL(WINAPI *cancel_function)(HANDLE, LPOVERLAPPED);
typedef NTSTATUS(NTAPI *query_function)(HANDLE, void *, void *, ULONG, int);

/* A request that waits. */
struct request {
    struct request *next;
    HANDLE file;
    DWORD flags, low, high;
    LPOVERLAPPED overlapped;
    BOOL is_cancelled;
};

static struct request *requests;
static SRWLOCK mutex = SRWLOCK_INIT;

static FARPROC function(const char *library, const char *name) {
    return GetProcAddress(GetModuleHandleA(library), name);
}

static BOOL real_lock(HANDLE file, DWORD flags, DWORD low, DWORD high, LPOVERLAPPED overlapped) {
    lock_function lock = (lock_function)(void *)function("kernel32.dll", "LockFileEx");
    return lock(file, flags, 0, low, high, overlapped);
}

/* Was the file opened with FILE_FLAG_OVERLAPPED? */
static BOOL is_overlapped(HANDLE file) {
    enum { FILE_MODE_INFORMATION = 16, SYNCHRONOUS = 0x30 };
    query_function query = (query_function)(void *)function("ntdll.dll", "NtQueryInformationFile");
    IO_STATUS_BLOCK status;
    ULONG mode = 0;
    if (query(file, &status, &mode, sizeof mode, FILE_MODE_INFORMATION)) return FALSE;
    return !(mode & SYNCHRONOUS);
}

static void forget(struct request *request) {
    struct request **link = &requests;
    while (*link != request) link = &(*link)->next;
    *link = request->next;
}

/* Is a request to be granted only in the instant in which it is cancelled? A test wants to see that. */
static BOOL is_late(void) {
    return GetEnvironmentVariableA("LOCKFAST_TEST_LATE_GRANT", NULL, 0) != 0;
}

/* One attempt; STATUS_IS_PENDING when somebody else is in the way. */
static ULONG_PTR attempt(const struct request *request) {
    OVERLAPPED once;
    if (is_late() && !request->is_cancelled) return STATUS_IS_PENDING;
    if (!is_late() && request->is_cancelled) return STATUS_IS_CANCELLED;
    ZeroMemory(&once, sizeof once);
    once.Offset = request->overlapped->Offset;
    once.OffsetHigh = request->overlapped->OffsetHigh;
    DWORD flags = request->flags | LOCKFILE_FAIL_IMMEDIATELY;
    if (real_lock(request->file, flags, request->low, request->high, &once)) return 0;
    BOOL goes_on = GetLastError() == ERROR_LOCK_VIOLATION && !request->is_cancelled;
    return goes_on ? STATUS_IS_PENDING : STATUS_IS_CANCELLED;
}

static DWORD WINAPI serve(void *argument) {
    struct request *request = argument;
    for (;;) {
        AcquireSRWLockExclusive(&mutex);
        ULONG_PTR status = attempt(request);
        if (status != STATUS_IS_PENDING) {
            HANDLE event = request->overlapped->hEvent;
            forget(request);
            request->overlapped->InternalHigh = 0;
            *(volatile ULONG_PTR *)&request->overlapped->Internal = status;
            if (event) SetEvent(event);
            ReleaseSRWLockExclusive(&mutex);
            HeapFree(GetProcessHeap(), 0, request);
            return 0;
        }
        ReleaseSRWLockExclusive(&mutex);
        Sleep(1);
    }
}

BOOL WINAPI lock_file(HANDLE, DWORD, DWORD, DWORD, DWORD, LPOVERLAPPED) __asm__("LockFileEx");

BOOL WINAPI lock_file(HANDLE file, DWORD flags, DWORD reserved, DWORD low, DWORD high,
                      LPOVERLAPPED overlapped) {
    (void)reserved;
    if ((flags & LOCKFILE_FAIL_IMMEDIATELY) || !is_overlapped(file))
        return real_lock(file, flags, low, high, overlapped);
    if (real_lock(file, flags | LOCKFILE_FAIL_IMMEDIATELY, low, high, overlapped)) return TRUE;
    if (GetLastError() != ERROR_LOCK_VIOLATION) return FALSE;
    struct request *request = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *request);
    *request = (struct request){NULL, file, flags, low, high, overlapped, FALSE};
    if (overlapped->hEvent) ResetEvent(overlapped->hEvent);
    overlapped->Internal = STATUS_IS_PENDING;
    overlapped->InternalHigh = 0;
    AcquireSRWLockExclusive(&mutex);
    request->next = requests;
    requests = request;
    ReleaseSRWLockExclusive(&mutex);
    CloseHandle(CreateThread(NULL, 0, serve, request, 0, NULL));
    SetLastError(ERROR_IO_PENDING);
    return FALSE;
}

BOOL WINAPI cancel(HANDLE, LPOVERLAPPED) __asm__("CancelIoEx");

BOOL WINAPI cancel(HANDLE file, LPOVERLAPPED overlapped) {
    BOOL found = FALSE;
    AcquireSRWLockExclusive(&mutex);
    for (struct request *request = requests; request; request = request->next) {
        if (request->file == file && (!overlapped || request->overlapped == overlapped)) {
            request->is_cancelled = TRUE;
            found = TRUE;
        }
    }
    ReleaseSRWLockExclusive(&mutex);
    if (found) return TRUE;
    cancel_function real = (cancel_function)(void *)function("kernel32.dll", "CancelIoEx");
    return real(file, overlapped);
}

/* What Rust calls them by. */
void *__imp_LockFileEx = (void *)lock_file;
void *__imp_CancelIoEx = (void *)cancel;

/* For tests under Wine only, where everybody can read what others have locked.
 *
 * It takes the place of ReadFile for overlapped reads of files. On Windows a read fails of bytes that
 * another handle has exclusively, wherever the file ends; a shared lock by the own handle fails of just
 * those, so one is taken for an instant before the read. (The library's own handles never read as many
 * bytes as they have locked, so what is given back is what was taken.)
 */
#include <windows.h>

typedef BOOL(WINAPI *read_function)(HANDLE, LPVOID, DWORD, LPDWORD, LPOVERLAPPED);
typedef BOOL(WINAPI *lock_function)(HANDLE, DWORD, DWORD, DWORD, DWORD, LPOVERLAPPED);
typedef BOOL(WINAPI *unlock_function)(HANDLE, DWORD, DWORD, DWORD, LPOVERLAPPED);

static FARPROC function(const char *name) {
    return GetProcAddress(GetModuleHandleA("kernel32.dll"), name);
}

/* Has another handle some of those bytes for itself? */
static BOOL is_taken(HANDLE file, DWORD length, const OVERLAPPED *at) {
    lock_function lock = (lock_function)(void *)function("LockFileEx");
    unlock_function unlock = (unlock_function)(void *)function("UnlockFileEx");
    OVERLAPPED once;
    ZeroMemory(&once, sizeof once);
    once.Offset = at->Offset;
    once.OffsetHigh = at->OffsetHigh;
    if (!lock(file, LOCKFILE_FAIL_IMMEDIATELY, 0, length, 0, &once))
        return GetLastError() == ERROR_LOCK_VIOLATION;
    unlock(file, 0, length, 0, &once);
    return FALSE;
}

BOOL WINAPI read_file(HANDLE, LPVOID, DWORD, LPDWORD, LPOVERLAPPED) __asm__("ReadFile");

BOOL WINAPI read_file(HANDLE file, LPVOID to, DWORD length, LPDWORD count, LPOVERLAPPED at) {
    read_function read = (read_function)(void *)function("ReadFile");
    if (at && length && GetFileType(file) == FILE_TYPE_DISK && is_taken(file, length, at)) {
        SetLastError(ERROR_LOCK_VIOLATION);
        return FALSE;
    }
    return read(file, to, length, count, at);
}

/* What Rust calls it by. */
void *__imp_ReadFile = (void *)read_file;

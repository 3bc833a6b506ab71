/* For tests under Wine only, which does not tell where all users have their data. */
#include <windows.h>

BOOL WINAPI shared(WCHAR *to, DWORD *length) __asm__("GetAllUsersProfileDirectoryW");

BOOL WINAPI shared(WCHAR *to, DWORD *length) {
    static const WCHAR path[] = L"C:\\ProgramData";
    DWORD needed = sizeof path / sizeof *path;
    BOOL fits = *length >= needed;
    *length = needed;
    if (fits) CopyMemory(to, path, sizeof path);
    else SetLastError(ERROR_INSUFFICIENT_BUFFER);
    return fits;
}

/* What Rust calls it by. */
void *__imp_GetAllUsersProfileDirectoryW = (void *)shared;

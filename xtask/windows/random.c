/* Wine 8 has no bcryptprimitives.dll, from which Rust's standard library takes random bytes. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T count) {
    enum { MOST = 1 << 16 };
    while (count) {
        ULONG some = count < MOST ? (ULONG)count : MOST;
        if (!SystemFunction036(to, some)) return FALSE;
        to += some;
        count -= some;
    }
    return TRUE;
}

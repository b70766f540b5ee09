/* The CPU at a PVH entry (Xen docs/misc/pvh). */
#include "sdk/boot.h"
#include "sdk/report.h"

#define CR0_PE 0x01u
#define CR0_ET 0x10u /* fixed to 1 */

#define FLAGS_TF (1u << 8)
#define FLAGS_IF (1u << 9)
#define FLAGS_VM (1u << 17)

extern const uint32_t entry_cr0, entry_cr4, entry_flags, entry_through_es, entry_through_ss,
    entry_efer;

int main(void)
{
    report((entry_cr0 & ~CR0_ET) == CR0_PE, "CR0 is PE alone (%x)", entry_cr0);
    report(entry_cr4 == 0, "CR4 is 0 (%x)", entry_cr4);
    report(entry_efer == 0, "EFER is 0 (%x)", entry_efer);
    report(!(entry_flags & (FLAGS_TF | FLAGS_IF | FLAGS_VM)), "EFLAGS: no TF, IF, VM (%x)",
           entry_flags);
    report(entry_through_es != 0 && entry_through_es != UINT32_MAX &&
               entry_through_es == entry_through_ss,
           "ES and SS are flat up to 4 GiB");
    report(boot_info()->source == BOOT_BY_PVH, "EBX is the start structure");
    return report_summary();
}

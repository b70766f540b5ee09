/* What the process keeps resident while its guest runs. */
#ifndef OSVM_VMM_FOOTPRINT_H
#define OSVM_VMM_FOOTPRINT_H

/**
 * Let go of the pages of the program file that only the start-up needed. Those that are still
 * used come back from the page cache as they are touched. Cheap, and only of use once the process
 * has come to rest. With thousands of VMs it saves page tables, and the resident set then says
 * what is really used.
 */
void footprint_trim(void);

#endif

/* The command line, printed between brackets for the table to compare, and measured. */
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/report.h"
#include "sdk/string.h"

int main(void)
{
    const char *line = boot_info()->cmdline;
    size_t length = strlen(line);

    printf("length %lu [", length);
    console_write(line, length);
    printf("]\n");
    return 0;
}

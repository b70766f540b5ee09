/* What a console's host end is made of: the file that is appended to, the socket that is listened
 * on. */
#ifndef OSVM_VMM_CONSOLE_OPEN_H
#define OSVM_VMM_CONSOLE_OPEN_H

#include <stdbool.h>

#include "base/error.h"

/**
 * Open a file to append to; make it where there is none.
 *
 * @ret_fd      the caller's
 * @ret_is_new  whether it was made
 * Returns 0 or a negative errno with the reason in err, which does not name the file.
 */
int console_open_file(const char *path, int *ret_fd, bool *ret_is_new, struct error *err);

#endif

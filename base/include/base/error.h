/*
 * An error for a person to read: what is wrong, in words, beside the negative errno that the
 * function returns. Low rooms fill it in; only the edge (vmm/, supervisor/) prints it, with the
 * user's word for the thing before it.
 */
#ifndef OSVM_BASE_ERROR_H
#define OSVM_BASE_ERROR_H

struct error {
    char text[256]; /* always terminated; "" where nothing was said */
};

/**
 * Say what is wrong.
 *
 * @err   may be NULL
 * @code  a negative errno, given back, so that a caller writes `return error_set(err, -EINVAL, …)`
 * Returns code. Any thread.
 */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * As error_set(), with ": " and the text of the errno `-code` behind it.
 */
int error_set_errno(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * Put words in front of what the error says already: "<prefix>: <text>".
 * Returns code. Any thread.
 */
int error_prefix(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/*
 * The console: the serial port at 0x3f8, polled. Any CPU may print; lines from several do not mix
 * within one call.
 */
#ifndef SDK_CONSOLE_H
#define SDK_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* Send the bytes as they are. Returns when the port has taken the last. */
void console_write(const void *bytes, size_t length);

/* The next byte of input, or -1 where none waits. */
int console_read(void);

/*
 * The usual printf, of %d %i %u %x %X %c %s %p %% with the flags 0 and -, a width, a precision
 * (numbers and *) and the lengths hh h l ll z. snprintf returns the length that the whole would
 * have.
 */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vprintf(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
int snprintf(char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buffer, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif

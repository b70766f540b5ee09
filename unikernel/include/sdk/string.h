/* The part of <string.h> and <stdlib.h> that small guests use; each as ISO C says. */
#ifndef SDK_STRING_H
#define SDK_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);
void *memchr(const void *bytes, int byte, size_t length);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t length);
char *strchr(const char *s, int byte);
char *strstr(const char *haystack, const char *needle);
/* base 0 (0x… hexadecimal, else decimal), 10 or 16; no sign, no overflow check. */
unsigned long strtoul(const char *s, char **ret_end, int base);

#endif

/* What lwIP asks of a compiler and its surroundings. */
#ifndef LWIP_PORT_CC_H
#define LWIP_PORT_CC_H

#include "sdk/console.h"
#include "sdk/exit.h"

typedef long ssize_t;

#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H  1
#define SSIZE_MAX        __LONG_MAX__
#define BYTE_ORDER       LITTLE_ENDIAN
#define LITTLE_ENDIAN    1234
#define BIG_ENDIAN       4321
#define LWIP_RAND()      lwip_port_random()
#define LWIP_PLATFORM_DIAG(arguments) \
    do {                              \
        printf arguments;             \
    } while (0)
#define LWIP_PLATFORM_ASSERT(text)                              \
    do {                                                        \
        printf("lwIP: %s (%s:%d)\n", text, __FILE__, __LINE__); \
        machine_exit(1);                                        \
    } while (0)

unsigned lwip_port_random(void);

#endif

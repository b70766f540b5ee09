/* Ownership that is visible in the declaration: scoped release, and handing over. */
#ifndef OSVM_BASE_CLEANUP_H
#define OSVM_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Call `fn(&variable)` when the variable goes out of scope. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Define `fn##_cleanup(type **)` for a destructor `void fn(type *)` that accepts NULL. */
#define DEFINE_CLEANUP(type, fn)              \
    static inline void fn##_cleanup(type **p) \
    {                                         \
        fn(*p);                               \
    }

static inline void cleanup_free_p(void *p)
{
    free(*(void **)p);
}

/* Close a descriptor; -1 is accepted, errno is left alone. */
static inline void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static inline void cleanup_close_p(int *fd)
{
    close_fd(*fd);
}

static inline void cleanup_fclose_p(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define _cleanup_free_   _cleanup_(cleanup_free_p)
#define _cleanup_close_  _cleanup_(cleanup_close_p)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose_p)

/* Hand a pointer over: gives its value and leaves NULL, so that the scope frees nothing. */
#define take_ptr(p)                    \
    ({                                 \
        __typeof__(p) take_ptr_ = (p); \
        (p) = NULL;                    \
        take_ptr_;                     \
    })

/* Hand a descriptor over: gives its number and leaves -1. */
static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#endif

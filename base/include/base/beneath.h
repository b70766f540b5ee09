/*
 * Opening beneath a folder: the one way in which a name that a guest chose becomes a file of the
 * host. Linux, openat2(2).
 */
#ifndef OSVM_BASE_BENEATH_H
#define OSVM_BASE_BENEATH_H

#include <sys/types.h>

/* What of symbolic links on the way, and at its end, is followed. */
enum beneath_links {
    BENEATH_NO_LINKS,    /* none; -ELOOP */
    BENEATH_INNER_LINKS, /* those that stay beneath the folder; others -EXDEV */
};

/**
 * Open `path` beneath a folder, close-on-exec. It never leads out of the folder, nor onto another
 * filesystem that is mounted inside: -EXDEV. The links of /proc are never followed: -ELOOP.
 *
 * @folder_fd  of a folder; O_PATH is enough
 * @path       relative; "." is the folder itself
 * @flags      as for open(2); O_NOFOLLOW refuses a link at the end (with O_PATH: opens the link)
 * @mode       of a file that O_CREAT makes; else 0
 * Returns a descriptor or a negative errno. Any thread.
 */
int beneath_open(int folder_fd, const char *path, int flags, mode_t mode, enum beneath_links links);

#endif

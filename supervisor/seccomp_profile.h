/*
 * What a process sandbox may ask of the kernel: a profile, made into the bytes of a filter, which
 * osvm-sandbox loads. By libseccomp.
 */
#ifndef OSVM_SUPERVISOR_SECCOMP_PROFILE_H
#define OSVM_SUPERVISOR_SECCOMP_PROFILE_H

#include <jansson.h>

#include "base/error.h"

/**
 * Write a profile's filter to a descriptor, as struct sock_filter records.
 *
 * @profile  "default": what ordinary programs need, and nothing that reaches beyond the sandbox;
 *           "strict": computing on what is given, no sockets, no new processes; or the path of a
 *           JSON file in the OCI runtime specification's seccomp format (config-linux.md, seccomp)
 * Returns 0; -EINVAL where the profile is not one, with the reason in err; or another errno.
 */
int seccomp_profile_write(const char *profile, int fd, struct error *err);

/**
 * The same in the OCI runtime specification's format, for a runtime that makes the filter itself.
 * @ret_profile  a new reference
 * Returns as above.
 */
int seccomp_profile_describe(const char *profile, json_t **ret_profile, struct error *err);

/* seccomp_lists.c: what the built-in profiles allow; NULL behind the last. */
extern const char *const seccomp_default_calls[];
extern const char *const seccomp_strict_calls[];

#endif

/*
 * The files that a Hermit guest sees.
 *
 * Nothing of the host but what is mapped, a file or a folder at a time; every other path leads into
 * a private folder, made for this machine and removed with it. A path is taken apart here, without
 * the host: "." and ".." by their names, "/" being the top and the place that relative paths begin
 * at; then the mapping with the longest name has it, and the rest is opened beneath that mapping's
 * folder (base/beneath.h). Links of the host inside a mapping are followed where they stay inside
 * it, and not at all where another mapping lies inside it: they could lead round that one.
 *
 * Regular files and folders are opened and nothing else. What a file is mapped from is opened once,
 * at the start, so that it stays that file.
 *
 * Everything is opened by descriptors that are taken in hermit_files_create(): after it no path of
 * the host is used, and the process may have no other view of files than those descriptors.
 */
#ifndef OSVM_HERMIT_FILES_H
#define OSVM_HERMIT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

#define HERMIT_MAX_MAPPINGS 64

struct hermit_files;

struct hermit_mapping {
    const char *host;  /* a file or a folder */
    const char *guest; /* where the guest sees it: an absolute path, not "/" alone for a file */
    bool read_only;
};

struct hermit_files_options {
    const struct hermit_mapping *mappings; /* borrowed during the call, with all strings */
    size_t mapping_count;                  /* at most HERMIT_MAX_MAPPINGS */
    /* The private folder: kept there, where it is new or empty; NULL: a temporary one. */
    const char *keep;
    bool try_only;         /* make nothing that stays: `keep` is only looked at */
    const char *temporary; /* where a temporary one is made; NULL: $TMPDIR or else /tmp */
    /*
     * How many bytes the private folder may hold, 0: no limit. Counted is by length (a hole counts
     * in full), and 4 KiB for each name; what is removed counts back once nothing holds it open.
     */
    uint64_t size_limit;
};

/**
 * Open what is mapped and make the private folder.
 *
 * Of the process's descriptors (RLIMIT_NOFILE at this moment) the guest gets up to a quarter, and
 * no more than 1,024.
 *
 * @ret_files  freed by hermit_files_destroy()
 * Returns 0, or a negative errno with one line for the user in err.
 */
int hermit_files_create(const struct hermit_files_options *options, struct hermit_files **ret_files,
                        struct error *err);

/* Close everything, and remove a temporary folder with all that is in it. Accepts NULL. After the
 * vCPUs' end. */
void hermit_files_destroy(struct hermit_files *files);

#endif

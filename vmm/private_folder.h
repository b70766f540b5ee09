/*
 * The folder for what a Hermit image writes outside of its mappings, where it is to vanish: made
 * before the fork, with the rights of the caller and for the user that the machine's process
 * becomes; removed by the guardian, however that process ended.
 */
#ifndef OSVM_VMM_PRIVATE_FOLDER_H
#define OSVM_VMM_PRIVATE_FOLDER_H

#include "base/error.h"
#include "jail_user.h"

struct private_folder {
    int parent_fd; /* -1: there is none */
    char name[32];
    char *path; /* for the machine's process; owned */
};

#define PRIVATE_FOLDER_NONE ((struct private_folder){.parent_fd = -1})

/**
 * Make one in $TMPDIR, or else in /tmp.
 * Returns 0 or a negative errno with the reason in err; nothing is left then.
 */
int private_folder_make(struct private_folder *folder, const struct jail_user *user,
                        struct error *err);

/**
 * Make the folder of --keep-files, where it is new, for the user that will write to it.
 * Returns 0, also where there is something of that name; or a negative errno with the reason in
 * err.
 */
int private_folder_keep(const char *path, const struct jail_user *user, struct error *err);

/* Remove it with all that is in it. */
void private_folder_remove(struct private_folder *folder);

/* Forget it, in the process that is not to remove it. */
void private_folder_forget(struct private_folder *folder);

#endif

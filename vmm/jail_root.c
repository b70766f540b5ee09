#include "jail_root.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the new root is mounted first. It is there: /dev/kvm was opened in it. */
#define PLACE "/dev"

/* The folder that is kept, in the new root. */
#define KEPT "kept"

#define CONFINED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int keep_folder(const char *folder, struct error *err)
{
    if (mkdir(PLACE "/" KEPT, 0755) < 0 ||
        mount(folder, PLACE "/" KEPT, NULL, MS_BIND | MS_REC, NULL) < 0 ||
        mount(NULL, PLACE "/" KEPT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | CONFINED, NULL) < 0)
        return error_set_errno(err, -errno, "cannot take the folder '%s' into the jail", folder);
    return 0;
}

static int change_root(struct error *err)
{
    /* Both at one place: the old root then lies on the new one, from where it is detached. */
    if (chdir(PLACE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        return error_set_errno(err, -errno, "cannot leave the root of the file system");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | CONFINED, NULL) < 0 || chdir("/") < 0)
        return error_set_errno(err, -errno, "cannot close the jail's root");
    return 0;
}

int jail_empty_root(const char *folder, struct error *err)
{
    int r = 0;

    /* Nothing of this is to be seen outside. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("jail", PLACE, "tmpfs", CONFINED, "size=4096,nr_inodes=4,mode=0755") < 0)
        return error_set_errno(err, -errno, "cannot mount the jail's root");
    if (folder)
        r = keep_folder(folder, err);
    if (r == 0)
        r = change_root(err);
    if (r == 0 && folder && chdir(KEPT) < 0)
        r = error_set_errno(err, -errno, "cannot enter the folder '%s' in the jail", folder);
    return r;
}

/* Where groups can be made. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/util.h"
#include "cgroup_internal.h"

#define PROC_FILE_MAX (4 * MIB)

static const char *const controller_names[CGROUP_CONTROLLERS] = {
    [CGROUP_CPU] = "cpu",   [CGROUP_CPUACCT] = "cpuacct", [CGROUP_MEMORY] = "memory",
    [CGROUP_PIDS] = "pids", [CGROUP_CPUSET] = "cpuset",   [CGROUP_FREEZER] = "freezer",
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
    return controller_names[controller];
}

unsigned cgroup_controller_bits(const char *words, size_t len)
{
    unsigned bits = 0;

    for (size_t at = 0; at < len;) {
        size_t word_len = 0;

        while (at + word_len < len && !strchr(", \n", words[at + word_len]))
            word_len++;
        for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
            if (strlen(controller_names[i]) == word_len &&
                memcmp(controller_names[i], words + at, word_len) == 0)
                bits |= CGROUP_BIT(i);
        }
        at += word_len + 1;
    }
    return bits;
}

void cgroup_host_free(struct cgroup_host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        free(host->trees[i].folder);
    *host = (struct cgroup_host){0};
}

int cgroup_host_version(const struct cgroup_host *host, enum cgroup_controller controller)
{
    for (unsigned i = 0; i < host->count; i++) {
        if (host->trees[i].controllers & CGROUP_BIT(controller))
            return host->trees[i].version;
    }
    return 0;
}

/* ---- The two files of /proc. ---- */

/* proc(5), mountinfo: blanks, newlines and backslashes in a path are written in octal. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* One line of mountinfo, taken apart. */
struct mount_line {
    char root[PATH_MAX], point[PATH_MAX], type[32], options[512];
};

static bool parse_mount_line(const char *line, struct mount_line *ret)
{
    const char *separator = strstr(line, " - ");

    if (!separator || sscanf(line, "%*d %*d %*s %4095s %4095s", ret->root, ret->point) != 2 ||
        sscanf(separator + 3, "%31s %*s %511s", ret->type, ret->options) != 2)
        return false;
    unescape(ret->root);
    unescape(ret->point);
    return true;
}

/*
 * The path of the own group in the tree with these controllers (0: version 2): cgroups(7),
 * /proc/PID/cgroup, "number:controllers:path".
 */
static bool find_own_path(const char *self, unsigned controllers, char *ret_path, size_t size)
{
    for (const char *line = self; *line;) {
        const char *end = strchrnul(line, '\n');
        const char *names = memchr(line, ':', (size_t)(end - line));
        const char *path = names ? memchr(names + 1, ':', (size_t)(end - names - 1)) : NULL;

        if (path && cgroup_controller_bits(names + 1, (size_t)(path - names - 1)) == controllers &&
            (controllers || strncmp(line, "0::", 3) == 0)) {
            snprintf(ret_path, size, "%.*s", (int)(end - path - 1), path + 1);
            return true;
        }
        line = *end ? end + 1 : end;
    }
    return false;
}

/* The folder of the group `path` where the tree is mounted from `root` on; NULL where it is outside
 * of what is mounted, or there is no memory. */
static char *folder_of(const struct mount_line *mount, const char *path)
{
    size_t root_len = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    char *folder = NULL;

    if (strncmp(path, mount->root, root_len) != 0 || (path[root_len] && path[root_len] != '/') ||
        strstr(path, "/.."))
        return NULL;
    path += root_len;
    if (asprintf(&folder, "%s%s", mount->point, strcmp(path, "/") == 0 ? "" : path) < 0)
        return NULL;
    return folder;
}

int cgroup_host_parse(const char *mountinfo, const char *self, struct cgroup_host *ret_host)
{
    struct cgroup_host host = {0};
    struct mount_line mount;
    char own[PATH_MAX];

    for (const char *line = mountinfo; *line && host.count < CGROUP_MAX_TREES;) {
        const char *end = strchrnul(line, '\n');
        _cleanup_free_ char *copy = strndup(line, (size_t)(end - line));
        struct cgroup_tree tree = {0};

        if (!copy) {
            cgroup_host_free(&host);
            return -ENOMEM;
        }
        line = *end ? end + 1 : end;
        if (!parse_mount_line(copy, &mount))
            continue;
        if (strcmp(mount.type, "cgroup2") == 0)
            tree.version = 2;
        else if (strcmp(mount.type, "cgroup") == 0)
            tree.version = 1;
        else
            continue;
        if (tree.version == 1)
            tree.controllers = cgroup_controller_bits(mount.options, strlen(mount.options));
        if (tree.version == 1 && !tree.controllers)
            continue; /* name=systemd and the like */
        if (!find_own_path(self, tree.controllers, own, sizeof(own)))
            continue;
        tree.folder = folder_of(&mount, own);
        if (tree.folder)
            host.trees[host.count++] = tree;
    }
    *ret_host = host;
    return 0;
}

/* ---- Rights. ---- */

static bool may_write(const char *folder, const char *file)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s%s%s", folder, *file ? "/" : "", file);
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

static unsigned read_bits(const char *folder, const char *file)
{
    _cleanup_free_ char *text = NULL;
    char path[PATH_MAX];
    size_t len;

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    return io_read_file(path, KIB * 4, &text, &len) < 0 ? 0 : cgroup_controller_bits(text, len);
}

/*
 * Version 2: to the folder in which groups can have controllers, and which those are. Version 2
 * counts CPU time and kills without any. False where there is no such folder.
 */
static bool settle_v2(struct cgroup_tree *tree)
{
    char type[PATH_MAX];
    unsigned enabled;

    snprintf(type, sizeof(type), "%s/cgroup.type", tree->folder);
    if (access(type, F_OK) ==
        0) { /* not the root, which alone may have both processes and groups */
        char *slash = strrchr(tree->folder, '/');

        *slash = '\0';
        snprintf(type, sizeof(type), "%s/cgroup.controllers", tree->folder);
        if (access(type, F_OK) != 0)
            return false; /* the group above is not to be seen from here */
    }
    enabled = read_bits(tree->folder, "cgroup.subtree_control");
    if (may_write(tree->folder, "cgroup.subtree_control"))
        enabled |= read_bits(tree->folder, "cgroup.controllers");
    tree->controllers = enabled;
    if (enabled)
        tree->controllers |= CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_FREEZER);
    return enabled && may_write(tree->folder, "cgroup.procs");
}

int cgroup_host_of(pid_t pid, struct cgroup_host *ret_host)
{
    _cleanup_free_ char *mountinfo = NULL, *groups = NULL;
    char path[64] = "/proc/self/cgroup"; /* by number it may be another's, in a PID namespace */
    size_t len;
    int r;

    *ret_host = (struct cgroup_host){0};
    if (pid)
        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    r = io_read_file("/proc/self/mountinfo", PROC_FILE_MAX, &mountinfo, &len);
    if (r == 0)
        r = io_read_file(path, PROC_FILE_MAX, &groups, &len);
    return r < 0 ? r : cgroup_host_parse(mountinfo, groups, ret_host);
}

int cgroup_host_probe(struct cgroup_host *ret_host)
{
    struct cgroup_host host;
    unsigned kept = 0;
    int r = cgroup_host_of(0, &host);

    *ret_host = (struct cgroup_host){0};
    if (r < 0)
        return r;
    for (unsigned i = 0; i < host.count; i++) {
        struct cgroup_tree *tree = &host.trees[i];

        if ((tree->version == 1 || settle_v2(tree)) && may_write(tree->folder, ""))
            host.trees[kept++] = *tree;
        else
            free(tree->folder);
    }
    host.count = kept;
    *ret_host = host;
    return 0;
}

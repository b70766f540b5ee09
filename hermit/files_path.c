/* From a guest's path to the mapping that has it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "files_internal.h"

/* Cut the last name off. */
static size_t parent_length(const char *path, size_t len)
{
    while (len > 0 && path[len - 1] != '/')
        len--;
    return len > 0 ? len - 1 : 0;
}

int path_normalise(const char *path, char ret_path[PATH_MAX])
{
    size_t len = 0, part;

    if (!*path)
        return -ENOENT;
    for (; *path; path += part) {
        path += strspn(path, "/");
        part = strcspn(path, "/");
        if (part == 0 || (part == 1 && path[0] == '.'))
            continue;
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            len = parent_length(ret_path, len); /* above the top is the top */
            continue;
        }
        if (part > NAME_MAX || part + 1 >= PATH_MAX - len)
            return -ENAMETOOLONG;
        ret_path[len++] = '/';
        memcpy(ret_path + len, path, part);
        len += part;
    }
    ret_path[len] = '\0';
    return 0;
}

/* Whether a path is the mount's own or lies beneath it. */
static bool mount_has(const struct mount *mount, const char *path)
{
    return strncmp(path, mount->guest, mount->guest_len) == 0 &&
           (path[mount->guest_len] == '/' || path[mount->guest_len] == '\0');
}

int files_place(const struct hermit_files *files, const char *path, struct place *ret_place)
{
    const struct mount *best = &files->mounts[0];
    int r = path_normalise(path, ret_place->guest);

    if (r < 0)
        return r;
    for (size_t i = 1; i < files->mount_count; i++) {
        const struct mount *mount = &files->mounts[i];

        if (mount->guest_len >= best->guest_len && mount_has(mount, ret_place->guest))
            best = mount;
    }
    ret_place->mount = best;
    ret_place->rest = ret_place->guest + best->guest_len;
    if (*ret_place->rest == '/')
        ret_place->rest++;
    return 0;
}

int files_open_parent(const struct place *place, const char **ret_name)
{
    char parent[PATH_MAX];
    size_t len = strlen(place->rest), parent_len = parent_length(place->rest, len);

    if (len == 0)
        return -EBUSY; /* where a mapping begins, or the top */
    if (!place->mount->is_folder)
        return -ENOTDIR;
    memcpy(parent, place->rest, parent_len);
    parent[parent_len] = '\0';
    *ret_name = place->rest + parent_len + (parent_len > 0);
    return beneath_open(place->mount->fd, parent_len > 0 ? parent : ".", O_PATH | O_DIRECTORY, 0,
                        place->mount->links);
}

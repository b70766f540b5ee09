#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "document.h"

#define COMPONENT_FILE "component.json"
#define WANTED_FILE    "wanted"

/* Have a folder's entries on the disk. */
static int sync_folder(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Replace a file, and have it on the disk: written, synced, renamed, and the name synced too. */
static int replace_durably(const char *folder, const char *name, const char *text, size_t len)
{
    _cleanup_close_ int fd = -1;
    char temporary[4096], path[4096];
    int r;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
        snprintf(temporary, sizeof(temporary), "%s/.%s.new", folder, name) >=
            (int)sizeof(temporary))
        return -ENAMETOOLONG;
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = io_write_all(fd, text, len);
    if (r == 0 && (fdatasync(fd) < 0 || rename(temporary, path) < 0))
        r = -errno;
    if (r < 0)
        unlink(temporary);
    return r < 0 ? r : sync_folder(folder);
}

int store_save(const struct paths *paths, const struct component *component, struct error *err)
{
    _cleanup_free_ char *folder = paths_state(paths, component->metadata.name, NULL);
    json_auto_t *json = component_write(component);
    _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    int r;

    if (!folder || !text)
        return error_set(err, -ENOMEM, "out of memory");
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot make '%s'", folder);
    r = replace_durably(folder, COMPONENT_FILE, text, strlen(text));
    return r < 0 ? error_set_errno(err, r, "cannot write '%s/" COMPONENT_FILE "'", folder) : 0;
}

int store_set_wanted(const struct paths *paths, const char *name, bool wanted, struct error *err)
{
    _cleanup_free_ char *folder = paths_state(paths, name, NULL);
    int r = folder
                ? replace_durably(folder, WANTED_FILE, wanted ? "run\n" : "rest\n", wanted ? 4 : 5)
                : -ENOMEM;

    return r < 0 ? error_set_errno(err, r, "cannot write down that '%s' is to %s", name,
                                   wanted ? "run" : "rest")
                 : 0;
}

/* Remove what is in a folder, and it; one level of folders inside. */
static int remove_folder(int parent, const char *name, bool nested)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int r = 0;

    if (!dir) {
        close_fd(fd);
        return -errno;
    }
    while (r == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) < 0)
            r = errno == EISDIR && nested ? remove_folder(fd, entry->d_name, false) : -errno;
    }
    closedir(dir);
    return r < 0 ? r : unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int store_remove(const struct paths *paths, const char *name, struct error *err)
{
    _cleanup_free_ char *folder = paths_state(paths, name, NULL);
    _cleanup_free_ char *definition = paths_state(paths, name, COMPONENT_FILE);
    int r;

    if (!folder || !definition)
        return error_set(err, -ENOMEM, "out of memory");
    /* Without it there is no component, whatever of the rest remains. */
    if (unlink(definition) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove '%s'", definition);
    r = remove_folder(AT_FDCWD, folder, true);
    return r < 0 && r != -ENOENT ? error_set_errno(err, r, "cannot remove '%s'", folder) : 0;
}

static bool read_wanted(const struct paths *paths, const char *name)
{
    _cleanup_free_ char *path = paths_state(paths, name, WANTED_FILE);
    _cleanup_free_ char *text = NULL;
    size_t len;

    return path && io_read_file(path, 64, &text, &len) == 0 && strcmp(text, "run\n") == 0;
}

/* One component's file. What is wrong with it is in `why`. */
static int load_one(const struct paths *paths, const char *name, struct component *ret_component,
                    char *why, size_t why_size)
{
    _cleanup_(document_free_cleanup) struct document *document = NULL;
    _cleanup_free_ char *path = paths_state(paths, name, COMPONENT_FILE);
    _cleanup_free_ char *text = NULL;
    struct mistakes mistakes = {0};
    size_t len;
    int r = path ? io_read_file(path, DOCUMENT_MAX_BYTES, &text, &len) : -ENOMEM;

    schema_init(&component_schema, ret_component);
    if (r < 0) {
        snprintf(why, why_size, "%s", strerror(-r));
        return r;
    }
    r = document_parse(text, len, &mistakes, &document);
    if (r == 0)
        r = component_read(document, ret_component, &mistakes);
    if (r == 0 && mistakes.count == 0 &&
        (!ret_component->id || strcmp(ret_component->metadata.name, name) != 0))
        mistakes_add(&mistakes, 0, "it is not the component of its folder");
    if (mistakes.count)
        snprintf(why, why_size, "line %u: %s", mistakes.kept[0].line, mistakes.kept[0].text);
    r = r < 0 ? r : mistakes.count ? -EBADMSG : 0;
    mistakes_free(&mistakes);
    return r;
}

int store_load(const struct paths *paths, store_found_fn *found, store_damaged_fn *damaged,
               void *context, struct error *err)
{
    _cleanup_free_ char *path = paths_state(paths, "", NULL);
    DIR *dir = path ? opendir(path) : NULL;
    struct dirent *entry;

    if (!dir)
        return error_set_errno(err, -errno, "cannot read the components' folder");
    while ((entry = readdir(dir))) {
        struct component component;
        char why[256] = "";

        if (!component_name_valid(entry->d_name))
            continue;
        if (load_one(paths, entry->d_name, &component, why, sizeof(why)) == 0) {
            found(context, &component, read_wanted(paths, entry->d_name));
            continue;
        }
        component_free(&component);
        damaged(context, entry->d_name, why);
    }
    closedir(dir);
    return 0;
}

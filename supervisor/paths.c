#include "paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

/* PARTS joined by slashes; NULL where there is no memory. */
static char *join(const char *a, const char *b, const char *c)
{
    char *path;

    return asprintf(&path, "%s%s%s%s%s", a, b ? "/" : "", b ? b : "", c ? "/" : "", c ? c : "") < 0
               ? NULL
               : path;
}

/* Where a user's folder is: root's own, or beneath what the environment names, or beneath a home.
 */
static char *folder_of(const char *system, const char *variable, const char *below_home)
{
    const char *base = getenv(variable), *home = getenv("HOME");

    if (geteuid() == 0)
        return strdup(system);
    if (base && base[0] == '/')
        return join(base, "osvm", NULL);
    if (home && home[0] == '/')
        return join(home, below_home, "osvm");
    return NULL;
}

int paths_init(struct paths *paths, const char *state, const char *run, struct error *err)
{
    if ((state && state[0] != '/') || (run && run[0] != '/'))
        return error_set(err, -EINVAL, "the folders of --state and --run are absolute paths");
    *paths = (struct paths){
        .state =
            state ? strdup(state) : folder_of("/var/lib/osvm", "XDG_STATE_HOME", ".local/state"),
        .run = run ? strdup(run) : folder_of("/run/osvm", "XDG_RUNTIME_DIR", ".cache/run"),
    };
    if (paths->state && paths->run)
        return 0;
    paths_free(paths);
    return error_set(err, -ENOENT,
                     "there is no folder for osvm's state: set HOME, or say --state and --run");
}

void paths_free(struct paths *paths)
{
    free(paths->state);
    free(paths->run);
    *paths = (struct paths){0};
}

/* Make a folder and those above it; the last is this user's alone. */
static int make_folder(const char *path, struct error *err)
{
    _cleanup_free_ char *part = strdup(path);
    struct stat st;

    if (!part)
        return error_set(err, -ENOMEM, "out of memory");
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return error_set_errno(err, -errno, "cannot make the folder '%s'", part);
        *slash = '/';
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot make the folder '%s'", path);
    if (stat(path, &st) < 0)
        return error_set_errno(err, -errno, "cannot look at the folder '%s'", path);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, -EPERM, "the folder '%s' is another's, or others may write to it",
                         path);
    return 0;
}

int paths_make(const struct paths *paths, struct error *err)
{
    _cleanup_free_ char *components = join(paths->state, "components", NULL);
    int r = make_folder(paths->state, err);

    if (r == 0)
        r = components ? make_folder(components, err) : error_set(err, -ENOMEM, "out of memory");
    return r == 0 ? make_folder(paths->run, err) : r;
}

char *paths_run(const struct paths *paths, const char *name, const char *file)
{
    return join(paths->run, name, file);
}

char *paths_state(const struct paths *paths, const char *name, const char *file)
{
    _cleanup_free_ char *components = join(paths->state, "components", NULL);

    return components ? join(components, name, file) : NULL;
}

/* What is beside this program, in the first of these places that has it. */
static int find_beside(const char *name, const char *const *places, size_t count, int mode,
                       char **ret_path, struct error *err)
{
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
    char *slash;

    if (len < 0)
        return error_set_errno(err, -errno, "cannot find this program's own folder");
    own[len] = '\0';
    slash = strrchr(own, '/');
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%.*s/%s%s", (int)(slash - own), own, places[i], name) < 0)
            return error_set(err, -ENOMEM, "out of memory");
        if (access(path, mode) == 0) {
            *ret_path = take_ptr(path);
            return 0;
        }
    }
    return error_set(err, -ENOENT, "there is no %s beside this program (%s)", name, own);
}

int paths_program(const char *name, char **ret_path, struct error *err)
{
    /* Installed beside this one; in a build folder, in the room next door. */
    static const char *const places[] = {"", "../vmm/", "../supervisor/", "../libexec/osvm/"};

    return find_beside(name, places, ARRAY_SIZE(places), X_OK, ret_path, err);
}

int paths_image(const char *name, char **ret_path, struct error *err)
{
    static const char *const places[] = {"../share/osvm/", "../unikernel/mcp/", "../unikernel/"};

    return find_beside(name, places, ARRAY_SIZE(places), R_OK, ret_path, err);
}

/*
 * virtio/fs_session.h: FUSE requests of every kind, well-formed and not, against a folder of its
 * own that is made anew for each input. Chains are cut anywhere. The ring and the thread are left
 * out: they have targets and tests of their own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "fs_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_LIMIT (256 * KIB)
#define OPEN_MAX   8
#define ROOM_MAX   2048

/* A request: opcode, node and handle (of those that were told last), where the chain is cut, how
 * much room, how many bytes of arguments; then these. */
#define RECORD_SIZE 8

#define KNOWN 8

struct guest {
    char tmp[32];
    struct fs_session session;
    uint64_t nodes[KNOWN], handles[KNOWN];
    unsigned node_count, handle_count;
    uint8_t in[sizeof(struct fuse_in_header) + 256];
    uint8_t out[ROOM_MAX];
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* Split bytes into two iovecs, none of them empty. */
static unsigned split(struct iovec *iov, uint8_t *bytes, uint32_t len, uint32_t at)
{
    unsigned count = 0;

    at = (uint32_t)min_u64(at, len);
    if (at > 0)
        iov[count++] = (struct iovec){bytes, at};
    if (len > at)
        iov[count++] = (struct iovec){bytes + at, len - at};
    return count;
}

/* Remember what it was told, to use it. */
static void learn(struct guest *guest, uint32_t opcode, uint32_t len)
{
    uint32_t at = sizeof(struct fuse_out_header);
    bool entry = opcode == FUSE_LOOKUP || opcode == FUSE_SYMLINK || opcode == FUSE_MKNOD ||
                 opcode == FUSE_MKDIR || opcode == FUSE_LINK || opcode == FUSE_CREATE;

    if (entry && len >= at + sizeof(struct fuse_entry_out)) {
        guest->nodes[guest->node_count++ % KNOWN] = load_le64(guest->out + at);
        at += sizeof(struct fuse_entry_out);
    }
    if ((opcode == FUSE_OPEN || opcode == FUSE_OPENDIR || opcode == FUSE_CREATE) &&
        len >= at + sizeof(struct fuse_open_out))
        guest->handles[guest->handle_count++ % KNOWN] = load_le64(guest->out + at);
}

/* Returns how many bytes of the input it took. */
static size_t run_request(struct guest *guest, const uint8_t *data, size_t size)
{
    uint32_t args_len = (uint32_t)min_u64(data[7], size - RECORD_SIZE), len = 0;
    struct fuse_in_header header = {
        .len = (uint32_t)sizeof(header) + args_len,
        .opcode = data[0] % 56,
        .nodeid = guest->nodes[data[1] % KNOWN],
        .uid = geteuid(),
        .gid = getegid(),
    };
    uint32_t room = data[5] & 1 ? ROOM_MAX : (uint32_t)(data[5] >> 1) * 2;
    struct virtq_chain chain = {.readable_len = header.len, .writable_len = room};

    if (data[6] & 0x80) /* a lie */
        header.len = (uint32_t)(header.len + data[6] - 0xc0);
    memcpy(guest->in, &header, sizeof(header));
    memcpy(guest->in + sizeof(header), data + RECORD_SIZE, args_len);
    if (args_len >= 8 && (data[2] & 0x80)) /* most structs begin with a handle or a node */
        memcpy(guest->in + sizeof(header),
               data[2] & 0x40 ? &guest->nodes[data[2] % KNOWN] : &guest->handles[data[2] % KNOWN],
               8);
    chain.readable_count = split(chain.iov, guest->in, chain.readable_len, data[3]);
    chain.writable_count = split(chain.iov + chain.readable_count, guest->out, room, data[4]);
    if (fs_session_serve(&guest->session, &chain, &len) == 0) {
        if (len > room)
            abort();
        learn(guest, header.opcode, len);
    }
    return RECORD_SIZE + args_len;
}

static void begin(struct guest *guest)
{
    const struct fuse_init_in in = {.major = 7, .minor = 31, .flags = UINT32_MAX};
    uint8_t record[RECORD_SIZE + sizeof(in)] = {FUSE_INIT, 0, 0, 0, 0, 1, 0, sizeof(in)};
    int fd;

    strcpy(guest->tmp, "/tmp/osvm-fuzz-fs-XXXXXX");
    if (!mkdtemp(guest->tmp))
        abort();
    fd = open(guest->tmp, O_PATH | O_DIRECTORY | O_CLOEXEC);
    memset(&guest->session, 0, sizeof(guest->session));
    guest->session.size_limit = SIZE_LIMIT;
    if (fd < 0 || fs_session_init(&guest->session, fd, OPEN_MAX) < 0)
        abort();
    for (unsigned i = 0; i < KNOWN; i++) {
        guest->nodes[i] = FUSE_ROOT_ID;
        guest->handles[i] = i;
    }
    guest->node_count = guest->handle_count = 0;
    memcpy(record + RECORD_SIZE, &in, sizeof(in));
    run_request(guest, record, sizeof(record));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct guest guest;

    begin(&guest);
    while (size >= RECORD_SIZE) {
        size_t taken = run_request(&guest, data, size);

        data += taken;
        size -= taken;
    }
    fs_session_deinit(&guest.session);
    if (nftw(guest.tmp, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        abort(); /* the guest removed what it lives in */
    return 0;
}

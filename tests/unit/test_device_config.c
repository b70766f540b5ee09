/* vmm/device_config.h and suboptions.h: the values of --net, --disk and their like. */
#include "unit.h"

#include "device_config.h"

typedef int add_fn(struct device_config *config, const char *value, struct error *err);

struct refused_row {
    const char *name;
    add_fn *add;
    const char *value, *says;
};

static const struct refused_row refused[] = {
    {"net: empty", device_config_add_net, "", "'' is none of tap, fd"},
    {"net: unknown part", device_config_add_net, "bridge=br0", "'bridge' is none of tap, fd"},
    {"net: no kind", device_config_add_net, "mtu=1500", "one of tap=NAME"},
    {"net: two kinds", device_config_add_net, "tap=a,fd=3", "one of tap=, fd= and passt"},
    {"net: a part twice", device_config_add_net, "tap=a,tap=b", "'tap' is given twice"},
    {"net: tap without a name", device_config_add_net, "tap=", "'tap' wants a value"},
    {"net: tap without a value", device_config_add_net, "tap", "'tap' wants a value"},
    {"net: fd that is none", device_config_add_net, "fd=-1", "'-1' is not the number"},
    {"net: short MAC", device_config_add_net, "tap=a,mac=02:00", "'02:00' is not a MAC"},
    {"net: MAC with a tail", device_config_add_net, "tap=a,mac=02:00:00:00:00:01x", "not a MAC"},
    {"net: a group's MAC", device_config_add_net, "tap=a,mac=01:00:5e:00:00:01", "one machine"},
    {"net: MTU too small", device_config_add_net, "tap=a,mtu=67", "'67' is not an MTU"},
    {"net: MTU too large", device_config_add_net, "tap=a,mtu=65536", "'65536' is not an MTU"},
    {"net: a rate of 0", device_config_add_net, "tap=a,rx-rate=0", "rx-rate: '0' is not a rate"},
    {"net: a rate in words", device_config_add_net, "tap=a,tx-rate=fast", "is not a rate"},
    {"net: none with a value", device_config_add_net, "none=x", "'none' takes no value"},
    {"vsock: no path", device_config_set_vsock, "cid=3", "both are wanted"},
    {"vsock: no cid", device_config_set_vsock, "path=/x", "both are wanted"},
    {"vsock: cid under 3", device_config_set_vsock, "cid=2,path=/x", "cid '2' is not a guest's"},
    {"vsock: cid of any", device_config_set_vsock, "cid=4294967295,path=/x", "is not a guest's"},
    {"disk: nothing said", device_config_add_disk, "ro", "one of path=FILE and scratch=SIZE"},
    {"disk: both kinds", device_config_add_disk, "path=/x,scratch=1M", "one of path=FILE"},
    {"disk: two sizes", device_config_add_disk, "scratch=1M,size=2M", "one of size= and scratch="},
    {"disk: size of 0", device_config_add_disk, "scratch=0", "'0' is not a size"},
    {"disk: serial too long", device_config_add_disk, "path=/x,serial=123456789012345678901",
     "at most 20 characters"},
    {"disk: unknown cache", device_config_add_disk, "path=/x,cache=maybe", "none of writeback"},
    {"disk: no id", device_config_add_disk, "path=/x,id=a b", "an id has 1 to 64 letters"},
    {"net: no id", device_config_add_net, "tap=a,id=../b", "an id has 1 to 64 letters"},
    {"disk: no operations", device_config_add_disk, "path=/x,iops=0", "iops '0' is not"},
    {"disk: ro with a value", device_config_add_disk, "path=/x,ro=1", "'ro' takes no value"},
    {"balloon: unknown part", device_config_set_balloon, "inflate", "'inflate' is none of size"},
    {"balloon: no seconds", device_config_set_balloon, "stats=0", "stats '0' is not"},
    {"share: no tag", device_config_add_share, "=/srv", "TAG=DIR[,ro] is wanted"},
    {"share: no folder", device_config_add_share, "a=", "TAG=DIR[,ro] is wanted"},
    {"share: no equals sign", device_config_add_share, "/srv", "TAG=DIR[,ro] is wanted"},
    {"share: a tail", device_config_add_share, "a=/srv,rw", "',rw' behind the folder"},
    {"transport: another", device_config_set_transport, "isa", "neither mmio nor pci"},
};

static void test_refused(void **state)
{
    const struct refused_row *row = *state;
    struct device_config config = {0};
    struct error err = {0};

    assert_true(row->add(&config, row->value, &err) < 0);
    if (!strstr(err.text, row->says))
        fail_msg("says '%s', not '%s'", err.text, row->says);
    assert_int_equal(config.net_count + config.disk_count + config.share_count, 0);
    device_config_free(&config);
}

static void test_net(void **state)
{
    struct device_config config = {0};

    (void)state;
    assert_int_equal(device_config_add_net(&config,
                                           "tap=t,,0,mac=02:00:00:00:00:0A,mtu=9000,rx-rate=1M,"
                                           "tx-rate=512K",
                                           NULL),
                     0);
    assert_int_equal(config.nets[0].kind, NET_TAP);
    assert_string_equal(config.nets[0].name, "t,0");
    assert_true(config.nets[0].has_mac);
    assert_int_equal(config.nets[0].mac[5], 10);
    assert_int_equal(config.nets[0].mtu, 9000);
    assert_int_equal(config.nets[0].rx.bytes.size, MIB / 25);
    assert_int_equal(config.nets[0].tx.bytes.size, 512 * KIB / 25);
    assert_int_equal(device_config_add_net(&config, "passt", NULL), 0);
    assert_int_equal(config.nets[1].kind, NET_PASST);
    assert_int_equal(device_config_add_net(&config, "passt=/run/p", NULL), 0);
    assert_int_equal(config.nets[2].kind, NET_PASST_SOCKET);
    assert_int_equal(device_config_add_net(&config, "none", NULL), 0);
    assert_int_equal(config.net_count, 3);
    device_config_clear_nets(&config);
    assert_int_equal(config.net_count, 0);
    device_config_free(&config);
}

static void test_disk(void **state)
{
    struct device_config config = {0};

    (void)state;
    assert_int_equal(device_config_add_disk(&config,
                                            "path=/d,ro,serial=s1,cache=direct,rate=10M,iops=100,"
                                            "size=1M",
                                            NULL),
                     0);
    assert_string_equal(config.disks[0].path, "/d");
    assert_true(config.disks[0].read_only);
    assert_string_equal(config.disks[0].serial, "s1");
    assert_int_equal(config.disks[0].cache, DISK_DIRECT);
    assert_int_equal(config.disks[0].rate.operations.size, 4);
    assert_int_equal(config.disks[0].size, MIB);
    assert_int_equal(device_config_add_disk(&config, "scratch=64M", NULL), 0);
    assert_null(config.disks[1].path);
    assert_int_equal(config.disks[1].size, 64 * MIB);
    device_config_free(&config);
}

static void test_too_many(void **state)
{
    struct device_config config = {0};
    struct error err = {0};

    (void)state;
    for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
        assert_int_equal(device_config_add_disk(&config, "scratch=1M", NULL), 0);
    assert_true(device_config_add_disk(&config, "scratch=1M", &err) < 0);
    assert_non_null(strstr(err.text, "at most 8 disks"));
    device_config_free(&config);
}

static void test_share(void **state)
{
    struct device_config config = {0};

    (void)state;
    assert_int_equal(device_config_add_share(&config, "src=/a,,b,ro", NULL), 0);
    assert_string_equal(config.shares[0].tag, "src");
    assert_string_equal(config.shares[0].path, "/a,b");
    assert_true(config.shares[0].read_only);
    assert_int_equal(device_config_add_share(&config, "x=/c=d", NULL), 0);
    assert_string_equal(config.shares[1].path, "/c=d");
    assert_false(config.shares[1].read_only);
    device_config_free(&config);
}

static void test_vsock_and_balloon(void **state)
{
    struct device_config config = {0};

    (void)state;
    assert_int_equal(device_config_set_vsock(&config, "cid=0x10,path=/v,rate=1G", NULL), 0);
    assert_int_equal(config.vsock.cid, 16);
    assert_int_equal(device_config_set_balloon(&config, NULL, NULL), 0);
    assert_true(config.balloon.wanted);
    assert_int_equal(device_config_set_balloon(&config, "size=64M,reporting,stats=2", NULL), 0);
    assert_int_equal(config.balloon.target, 64 * MIB);
    assert_true(config.balloon.free_page_reporting);
    assert_false(config.balloon.deflate_on_oom);
    device_config_free(&config);
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, refused, test_refused);
    unit_add(&unit, "net: all parts", test_net, NULL);
    unit_add(&unit, "disk: all parts", test_disk, NULL);
    unit_add(&unit, "disk: too many", test_too_many, NULL);
    unit_add(&unit, "share: all parts", test_share, NULL);
    unit_add(&unit, "vsock and balloon", test_vsock_and_balloon, NULL);
    return unit_run(&unit, "device_config");
}

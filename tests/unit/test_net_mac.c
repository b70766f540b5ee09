/* net/mac.h: addresses from text and from an id. */
#include "unit.h"

#include <errno.h>

#include "net/mac.h"

struct parse_row {
    const char *name, *text;
    int result;
    uint8_t mac[NET_MAC_LEN];
};

static const struct parse_row parse_rows[] = {
    {"lower case", "02:ab:cd:ef:00:19", 0, {0x02, 0xab, 0xcd, 0xef, 0x00, 0x19}},
    {"upper case", "0E:AB:CD:EF:00:19", 0, {0x0e, 0xab, 0xcd, 0xef, 0x00, 0x19}},
    {"universally administered", "00:00:00:00:00:01", 0, {0, 0, 0, 0, 0, 1}},
    {"empty", "", -EINVAL, {0}},
    {"too short", "02:00:00:00:00", -EINVAL, {0}},
    {"too long", "02:00:00:00:00:00:00", -EINVAL, {0}},
    {"a digit behind", "02:00:00:00:00:000", -EINVAL, {0}},
    {"other separators", "02-00-00-00-00-00", -EINVAL, {0}},
    {"not hexadecimal", "02:00:00:00:00:0g", -EINVAL, {0}},
    {"one digit", "2:00:00:00:00:0000", -EINVAL, {0}},
    {"a sign", "02:00:00:00:00:+1", -EINVAL, {0}},
    {"multicast", "01:00:5e:00:00:01", -EADDRNOTAVAIL, {0}},
    {"broadcast", "ff:ff:ff:ff:ff:ff", -EADDRNOTAVAIL, {0}},
    {"zero", "00:00:00:00:00:00", -EADDRNOTAVAIL, {0}},
};

static void test_parse(void **state)
{
    const struct parse_row *row = *state;
    uint8_t mac[NET_MAC_LEN] = {0};

    assert_int_equal(net_mac_parse(row->text, mac), row->result);
    assert_memory_equal(mac, row->mac, sizeof(mac));
}

static void test_derive(void **state)
{
    static const char *const ids[] = {"", "a", "b", "vm-1", "vm-2", "vm-10", "a\xff"};
    uint8_t macs[ARRAY_SIZE(ids) * 3][NET_MAC_LEN];
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        for (unsigned index = 0; index < 3; index++) {
            uint8_t again[NET_MAC_LEN];

            net_mac_derive(ids[i], index, macs[count]);
            net_mac_derive(ids[i], index, again);
            assert_memory_equal(macs[count], again, NET_MAC_LEN);
            assert_int_equal(macs[count][0] & 3, 2);
            for (size_t j = 0; j < count; j++)
                assert_memory_not_equal(macs[j], macs[count], NET_MAC_LEN);
            count++;
        }
    }
}

/* Addresses that were given out once stay as they are. */
static void test_stable(void **state)
{
    static const uint8_t expected[NET_MAC_LEN] = {0xba, 0xdb, 0x48, 0xd1, 0x64, 0xbf};
    uint8_t mac[NET_MAC_LEN];

    (void)state;
    net_mac_derive("vm-1", 0, mac);
    assert_memory_equal(mac, expected, sizeof(mac));
}

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, parse_rows, test_parse);
    unit_add(&unit, "derived ones differ and are local", test_derive, NULL);
    unit_add(&unit, "a derived one never changes", test_stable, NULL);
    return unit_run(&unit, "net_mac");
}

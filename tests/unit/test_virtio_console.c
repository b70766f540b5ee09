/* virtio/console.h: both directions, with back-pressure; the window's size; nonsense. */
#include "virtio_driver.h"

#include "virtio/console.h"

#define RX 0
#define TX 1

#define SINK_SIZE (256 * 1024)

struct fixture {
    struct driver driver;
    struct virtio_console_host host;
    uint64_t gpa;
    uint8_t sink[SINK_SIZE];
    size_t sunk, room; /* room: how much more the host takes */
    size_t most;       /* at once; 0: all */
    unsigned writes, wanted;
};

static size_t on_write(struct virtio_console_host *host, const uint8_t *bytes, size_t len)
{
    struct fixture *f = container_of(host, struct fixture, host);
    size_t taken = min_u64(len, f->room);

    assert_true(len > 0);
    if (f->most)
        taken = min_u64(taken, f->most);
    assert_true(taken <= SINK_SIZE - f->sunk);
    memcpy(f->sink + f->sunk, bytes, taken);
    f->sunk += taken;
    f->room -= taken;
    f->writes++;
    return taken;
}

static void on_wanted(struct virtio_console_host *host)
{
    container_of(host, struct fixture, host)->wanted++;
}

static struct fixture *fixture_create(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct virtio_device *device = NULL;
    struct error err = {""};

    assert_non_null(f);
    driver_create(&f->driver, 4 * MIB);
    f->host = (struct virtio_console_host){.write = on_write, .input_wanted = on_wanted};
    f->room = SINK_SIZE;
    assert_int_equal(virtio_console_create(&f->driver.env, "console0", &f->host, &device, &err), 0);
    driver_connect(&f->driver, device);
    f->gpa = driver_alloc(&f->driver, SINK_SIZE, 8);
    return f;
}

static void start(struct fixture *f)
{
    driver_start(&f->driver, VIRTIO_CONSOLE_F_SIZE);
}

static void fixture_destroy(struct fixture *f)
{
    driver_destroy(&f->driver);
    free(f);
}

static void fill(struct fixture *f, uint32_t len)
{
    uint8_t *bytes = driver_host(&f->driver, f->gpa, len);

    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
}

static bool sink_is_right(struct fixture *f, uint32_t len)
{
    return f->sunk == len && memcmp(f->sink, driver_host(&f->driver, f->gpa, len), len) == 0;
}

static size_t input(struct fixture *f, const char *text)
{
    return virtio_console_input(f->driver.device, (const uint8_t *)text, strlen(text));
}

static void give_room(struct fixture *f, uint64_t offset, uint32_t len)
{
    const struct driver_buffer buffer = {f->gpa + offset, len, true};

    driver_add(&f->driver, RX, &buffer, 1);
    driver_notify(&f->driver, RX);
}

static void send_bytes(struct fixture *f, uint64_t offset, uint32_t len)
{
    const struct driver_buffer buffer = {f->gpa + offset, len, false};

    driver_add(&f->driver, TX, &buffer, 1);
    driver_notify(&f->driver, TX);
}

/* ---- Output. ---- */

static void test_output(struct fixture *f)
{
    const struct driver_buffer buffers[] = {{f->gpa, 10, false}, {f->gpa + 10, 90, false}};
    struct driver_used used;

    start(f);
    fill(f, 100);
    driver_add(&f->driver, TX, buffers, 2);
    driver_notify(&f->driver, TX);
    assert_true(driver_used(&f->driver, TX, &used));
    assert_int_equal(used.len, 0);
    assert_true(sink_is_right(f, 100));
    assert_int_equal(f->driver.queues[TX].interrupts, 1);
}

static void test_output_stalls(struct fixture *f)
{
    struct driver_used used;

    start(f);
    fill(f, 100);
    f->room = 33;
    f->most = 10;
    send_bytes(f, 0, 60);
    send_bytes(f, 60, 40);
    assert_int_equal(f->sunk, 33);
    assert_int_equal(driver_used_count(&f->driver, TX), 0);
    f->writes = 0;
    driver_notify(&f->driver, TX); /* a stalled host is not asked */
    driver_run(&f->driver, 2 * NS_PER_MS);
    assert_int_equal(f->writes, 0);
    f->room = 30;
    virtio_console_output_ready(f->driver.device);
    assert_int_equal(f->sunk, 63);
    assert_true(driver_used(&f->driver, TX, &used));
    f->room = 1000;
    virtio_console_output_ready(f->driver.device);
    assert_true(driver_used(&f->driver, TX, &used));
    assert_true(sink_is_right(f, 100));
    virtio_console_output_ready(f->driver.device); /* with nothing to send */
}

static void test_output_is_waited_for(struct fixture *f)
{
    struct virtio_device *device = f->driver.device;

    assert_false(virtio_console_output_waiting(device)); /* nobody is there */
    start(f);
    assert_false(virtio_console_output_waiting(device));
    fill(f, 100);
    /* In the ring, and the notification not yet heard: it waits as well. */
    driver_add(&f->driver, TX, &(struct driver_buffer){f->gpa, 100, false}, 1);
    assert_true(virtio_console_output_waiting(device));
    f->room = 60;
    virtio_console_output_ready(device);
    assert_int_equal(f->sunk, 60);
    assert_true(virtio_console_output_waiting(device));
    f->room = 1000;
    virtio_console_output_ready(device);
    assert_true(sink_is_right(f, 100));
    assert_false(virtio_console_output_waiting(device));
}

static void test_output_takes_turns(struct fixture *f)
{
    start(f);
    fill(f, 200000);
    send_bytes(f, 0, 150000);
    send_bytes(f, 150000, 50000);
    assert_int_equal(f->sunk, 2 * 65536); /* a turn for each notification */
    assert_true(driver_wait_used(&f->driver, TX, 2));
    assert_true(sink_is_right(f, 200000));
}

static void test_reset_while_stalled(struct fixture *f)
{
    start(f);
    fill(f, 100);
    f->room = 5;
    send_bytes(f, 0, 50);
    driver_reset(&f->driver);
    f->room = 1000;
    virtio_console_output_ready(f->driver.device);
    assert_int_equal(f->sunk, 5); /* the rest is not the host's any more */
    f->sunk = 0;
    start(f);
    send_bytes(f, 0, 50);
    assert_true(sink_is_right(f, 50));
}

static void test_stalled_over_reset(struct fixture *f)
{
    start(f);
    fill(f, 100);
    f->room = 0;
    send_bytes(f, 0, 50);
    driver_reset(&f->driver);
    start(f);
    f->room = 1000;
    send_bytes(f, 0, 50);
    assert_int_equal(f->sunk, 0); /* the host has not said that it takes more */
    virtio_console_output_ready(f->driver.device);
    assert_true(sink_is_right(f, 50));
}

/* ---- Input. ---- */

static void test_input(struct fixture *f)
{
    struct driver_used used;

    start(f);
    give_room(f, 0, 4);
    give_room(f, 4, 100);
    assert_int_equal(input(f, "hello world"), 11);
    assert_true(driver_used(&f->driver, RX, &used));
    assert_int_equal(used.len, 4);
    assert_true(driver_used(&f->driver, RX, &used));
    assert_int_equal(used.len, 7);
    assert_memory_equal(driver_host(&f->driver, f->gpa, 11), "hello world", 11);
    assert_int_equal(f->wanted, 0);
    assert_int_equal(input(f, ""), 0);
}

static void test_input_waits(struct fixture *f)
{
    start(f);
    assert_int_equal(input(f, "abc"), 0);
    assert_int_equal(f->wanted, 0);
    give_room(f, 0, 2);
    assert_int_equal(f->wanted, 1);
    assert_int_equal(input(f, "abc"), 2);
    give_room(f, 2, 2);
    assert_int_equal(f->wanted, 2);
    assert_int_equal(input(f, "c"), 1);
    give_room(f, 4, 2);
    assert_int_equal(f->wanted, 2); /* nothing was turned away */
}

static void test_input_before_driver(struct fixture *f)
{
    assert_int_equal(input(f, "abc"), 0);
    start(f);
    give_room(f, 0, 8);
    assert_int_equal(f->wanted, 1);
    assert_int_equal(input(f, "abc"), 3);
    driver_reset(&f->driver);
    assert_int_equal(input(f, "abc"), 0);
}

/* ---- Size. ---- */

static uint32_t config_size(struct fixture *f)
{
    uint8_t config[4];

    virtio_device_config_read(f->driver.device, 0, config, sizeof(config));
    return load_le32(config);
}

static void test_resize(struct fixture *f)
{
    uint8_t generation;

    virtio_console_resize(f->driver.device, 80, 25);
    assert_int_equal(f->driver.config_interrupts, 0); /* no driver yet */
    start(f);
    assert_int_equal(config_size(f), 25 << 16 | 80);
    generation = virtio_device_generation(f->driver.device);
    virtio_console_resize(f->driver.device, 132, 43);
    assert_int_equal(f->driver.config_interrupts, 1);
    assert_int_not_equal(virtio_device_generation(f->driver.device), generation);
    assert_int_equal(config_size(f), 43 << 16 | 132);
    virtio_console_resize(f->driver.device, 132, 43);
    assert_int_equal(f->driver.config_interrupts, 1); /* nothing new */
    virtio_device_config_write(f->driver.device, 0, "\1\2\3\4", 4);
    assert_int_equal(config_size(f), 43 << 16 | 132);
    driver_start(&f->driver, 0);
    virtio_console_resize(f->driver.device, 80, 25);
    assert_int_equal(f->driver.config_interrupts, 1); /* it did not ask for it */
}

/* Linux looks at it only when it is told that it has changed, and not before it works. */
static void test_size_of_the_start(struct fixture *f)
{
    start(f);
    send_bytes(f, 0, 1);
    assert_int_equal(f->driver.config_interrupts, 0); /* there is none */
    virtio_console_resize(f->driver.device, 80, 25);
    f->driver.config_interrupts = 0;
    start(f);
    give_room(f, 0, 64);
    assert_int_equal(f->driver.config_interrupts, 0);
    send_bytes(f, 0, 1);
    assert_int_equal(f->driver.config_interrupts, 1);
    send_bytes(f, 0, 1);
    assert_int_equal(f->driver.config_interrupts, 1);
    assert_int_equal(input(f, "a"), 1);
    assert_int_equal(f->driver.config_interrupts, 2);
    give_room(f, 64, 64);
    assert_int_equal(input(f, "b"), 1);
    send_bytes(f, 0, 1);
    assert_int_equal(f->driver.config_interrupts, 2);
    driver_start(&f->driver, 0);
    send_bytes(f, 0, 1);
    assert_int_equal(f->driver.config_interrupts, 2); /* it did not ask for it */
}

/* ---- Nonsense. ---- */

static void test_output_writable(struct fixture *f)
{
    const struct driver_buffer buffer = {f->gpa, 10, true};

    start(f);
    driver_add(&f->driver, TX, &buffer, 1);
    driver_notify(&f->driver, TX);
    assert_true(driver_is_broken(&f->driver));
    assert_int_equal(f->writes, 0);
}

static void test_input_readable(struct fixture *f)
{
    const struct driver_buffer buffer = {f->gpa, 10, false};

    start(f);
    driver_add(&f->driver, RX, &buffer, 1);
    assert_int_equal(input(f, "abc"), 0);
    assert_true(driver_is_broken(&f->driver));
    assert_int_equal(input(f, "abc"), 0);
    start(f); /* a reset heals it */
    give_room(f, 0, 8);
    assert_int_equal(input(f, "abc"), 3);
}

static void test_outside_memory(struct fixture *f)
{
    start(f);
    driver_put_desc(&f->driver, TX, 0, 4 * MIB - 1, 2, 0, 0);
    driver_put_avail(&f->driver, TX, 0);
    driver_notify(&f->driver, TX);
    assert_true(driver_is_broken(&f->driver));
    assert_int_equal(f->writes, 0);
}

struct row {
    const char *name;
    void (*test)(struct fixture *f);
};

static void run_row(void **state)
{
    const struct row *row = *state;
    struct fixture *f = fixture_create();

    row->test(f);
    fixture_destroy(f);
}

static const struct row rows[] = {
    {"output", test_output},
    {"output waits for a host that stalls", test_output_stalls},
    {"output that is not taken is known to wait", test_output_is_waited_for},
    {"output takes turns", test_output_takes_turns},
    {"a reset drops what the host did not take", test_reset_while_stalled},
    {"a reset does not wake the host", test_stalled_over_reset},
    {"input", test_input},
    {"input waits for room", test_input_waits},
    {"input before there is a driver", test_input_before_driver},
    {"resize", test_resize},
    {"the size that was there at the start", test_size_of_the_start},
    {"a writable buffer to send", test_output_writable},
    {"a readable buffer to fill", test_input_readable},
    {"a buffer outside memory", test_outside_memory},
};

int main(void)
{
    struct unit unit = {.count = 0};

    unit_add_rows(&unit, rows, run_row);
    return unit_run(&unit, "virtio_console");
}

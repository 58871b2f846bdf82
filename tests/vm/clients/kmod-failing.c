/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmod-failing: /dev/iommud without memory.
 *
 * Each path below is taken again and again: first the first allocation fails that the module makes for it, itself or through
 * the functions of the kernel that it calls, then the second one, until there are no more (/proc/self/fail-nth; the case has
 * told the kernel to leave all others alone). After each time nothing may be left of a path that failed, and what is promised
 * holds for one that did not. Prints how many allocations each path has.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kmod-rig.h"
#include "kmod.h"

#define DENIED "iommud-denied"
#define POINTS_MAX 200 /* a path that has so many never ends */

static int node; /* of /dev/iommud */
static int fail_nth; /* the kernel's file */
static int iommufd;
static int claim = -1; /* that a path needs, or has made */

/* ---- before a path, and behind it ---- */

static void nothing(void)
{
}

static void make_claim(void)
{
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
}

/* Without the DMA, the kernel itself refuses no driver. */
static void make_denial(void)
{
	claim = MUST(kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, NULL, NULL));
}

static void close_claim(void)
{
	if (claim >= 0)
		close(claim);
	claim = -1;
}

static void wait_for(unsigned int type)
{
	struct iommud_event event;

	EXPECT(0, kmod_wait_event(claim, type, &event));
}

static void remove_nic(void)
{
	remove_device(slot_nic);
	wait_for(IOMMUD_EVENT_REMOVED);
}

static void make_claim_and_remove(void)
{
	make_claim();
	remove_nic();
}

static void make_denial_and_remove(void)
{
	make_denial();
	remove_nic();
}

static void make_claim_with_event(void)
{
	make_claim();
	set_override(slot_nic, "pci-stub");
	EXPECT(0, bind_to(slot_nic, "pci-stub"));
	unbind(slot_nic);
	set_override(slot_nic, "");
}

static void allow_any_driver(void)
{
	make_denial();
	set_override(slot_nic, "managed-dma");
}

static bool is_denied(void)
{
	char override[64];

	read_override(slot_nic, override, sizeof(override));
	return strcmp(override, DENIED) == 0;
}

/* One that was denied gets its driver, and is rid of the override. */
static void joiner_is_free_again(void)
{
	bool denied = is_denied();

	close_claim();
	if (denied)
		wait_driver(slot_nic, "e1000");
	EXPECT(false, is_denied());
	unbind(slot_nic);
}

static void rescan(void)
{
	EXPECT(0, write_text("/sys/bus/pci/rescan", "1"));
}

static void nic_comes_back(void)
{
	close_claim();
	rescan();
	unbind(slot_nic);
}

/* ---- the paths ---- */

static int run_info(void)
{
	struct iommud_info info;

	return kmod_info(node, &info);
}

static int run_parked(void)
{
	return claim = kmod_claim(node, slot_edu, -1, 0, NULL, NULL);
}

static int run_for_iommufd(void)
{
	return claim = kmod_claim(node, slot_edu, iommufd, 0, NULL, NULL);
}

static int run_with_all(void)
{
	static const char drivers[] = "managed-dma";
	static const char label[] = "tenant";
	int nodes[] = { node, node };
	struct iommud_claim request = {
		.size = sizeof(request),
		.iommufd = iommufd,
		.n_nodes = 2,
		.nodes = (uintptr_t)nodes,
		.drivers = (uintptr_t)drivers,
		.drivers_size = sizeof(drivers),
		.label = (uintptr_t)label,
		.label_size = sizeof(label) - 1,
		.bus = "pci",
	};

	strcpy(request.device, slot_edu);
	claim = ioctl(node, IOMMUD_IOC_CLAIM, &request);
	return claim = claim < 0 ? -errno : claim;
}

static int run_singleton(void)
{
	return claim = kmod_claim(node, edu, -1, IOMMUD_CLAIM_SINGLETON, NULL, NULL);
}

static int run_deny_only(void)
{
	return claim = kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, NULL, NULL);
}

static int run_query(void)
{
	struct iommud_member members[8];
	struct iommud_query query;

	return kmod_query(node, slot_edu, &query, members, 8);
}

static int run_events(void)
{
	return claim = kmod_events(node);
}

static int run_handoff(void)
{
	return kmod_handoff(claim);
}

static int run_read(void)
{
	struct iommud_event event;

	return read(claim, &event, sizeof(event)) == sizeof(event) ? 0 : -errno;
}

static int run_close(void)
{
	int r = close(claim);

	claim = -1;
	return r;
}

static int run_bind(void)
{
	return bind_to(slot_nic, "managed-dma");
}

static int run_remove(void)
{
	remove_device(slot_nic);
	return 0;
}

static int run_rescan(void)
{
	rescan();
	return 0;
}

/* ---- what holds afterwards ---- */

static void is_taken_off(void)
{
	wait_for(IOMMUD_EVENT_REFUSED);
	wait_for(IOMMUD_EVENT_UNBOUND);
	EXPECT(0, strcmp(driver_of(slot_nic), ""));
	set_override(slot_nic, "");
}

static void was_removed(void)
{
	wait_for(IOMMUD_EVENT_REMOVED);
}

/* It is owned, whether it could be denied or not. */
static void joiner_has_no_driver(void)
{
	wait_for(IOMMUD_EVENT_ADDED);
	EXPECT(0, strcmp(driver_of(slot_nic), ""));
	set_override(slot_nic, "kernel-dma");
	EXPECT(-EBUSY, bind_to(slot_nic, "kernel-dma"));
	set_override(slot_nic, "");
}

/* Where the override could not be set, the driver came and is taken off. */
static void joiner_keeps_no_driver(void)
{
	wait_for(IOMMUD_EVENT_ADDED);
	if (!is_denied())
		wait_for(IOMMUD_EVENT_UNBOUND);
	EXPECT(0, strcmp(driver_of(slot_nic), ""));
}

static const struct path {
	const char *name;
	void (*before)(void);
	int (*run)(void);
	void (*holds)(void); /* when it did not fail */
	void (*after)(void);
	bool never_fails;
} paths[] = {
	{ "INFO", nothing, run_info, nothing, nothing, true },
	{ "CLAIM, parked", nothing, run_parked, nothing, close_claim, false },
	{ "CLAIM for an iommufd", nothing, run_for_iommufd, nothing, close_claim, false },
	{ "CLAIM with label, drivers and nodes", nothing, run_with_all, nothing, close_claim, false },
	{ "CLAIM, SINGLETON", nothing, run_singleton, nothing, close_claim, false },
	{ "CLAIM, DENY_ONLY", nothing, run_deny_only, nothing, close_claim, false },
	{ "QUERY", nothing, run_query, nothing, nothing, false },
	{ "EVENTS", nothing, run_events, nothing, close_claim, false },
	{ "HANDOFF", make_claim, run_handoff, nothing, close_claim, true },
	{ "read", make_claim_with_event, run_read, nothing, close_claim, true },
	{ "close", make_claim, run_close, nothing, nothing, true },
	{ "a driver comes that is not allowed", allow_any_driver, run_bind, is_taken_off, close_claim, true },
	{ "a member is removed", make_claim, run_remove, was_removed, nic_comes_back, true },
	{ "a device joins a claim", make_claim_and_remove, run_rescan, joiner_has_no_driver, joiner_is_free_again,
	  true },
	{ "a device joins a denial", make_denial_and_remove, run_rescan, joiner_keeps_no_driver, joiner_is_free_again,
	  true },
};

/* ---- the taking ---- */

static unsigned int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned int n = 0;
	int c;

	EXPECT(true, file != NULL);
	while ((c = getc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

/* The lowest number that is free tells whether one more is open. */
static int lowest_free(void)
{
	int fd = MUST(dup(node));

	close(fd);
	return fd;
}

static void nobody_owns(const char *device)
{
	struct iommud_query query;

	EXPECT(0, kmod_query(node, device, &query, NULL, 0));
	EXPECT(0, query.group_flags);
}

static void nothing_is_left(int lowest)
{
	EXPECT(1, count_lines("/sys/kernel/debug/iommud/claims"));
	EXPECT(lowest, lowest_free());
	nobody_owns(edu);
	nobody_owns(slot_edu);
	/* A driver that needs the DMA gets it. */
	move_to(slot_nic, "kernel-dma");
	move_to(slot_nic, "");
}

static void arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	EXPECT(n, pwrite(fail_nth, text, n, 0));
}

/* How many are still to come until the one that was to fail: 0, it has failed. */
static unsigned long disarm(void)
{
	char text[16] = "";

	EXPECT(true, pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
	arm(0);
	return strtoul(text, NULL, 10);
}

/* False: there is no nth one, and the path came to its end. */
static bool take(const struct path *path, unsigned int nth)
{
	int lowest = lowest_free(), r;
	bool failed;

	path->before();
	arm(nth);
	r = path->run();
	failed = disarm() == 0;
	if (r >= 0)
		path->holds();
	else
		EXPECT(-ENOMEM, r);
	EXPECT(true, r >= 0 || (failed && !path->never_fails));
	path->after();
	nothing_is_left(lowest);
	return failed;
}

int main(void)
{
	unsigned int nth, sum = 0;

	rig_init();
	setvbuf(stdout, NULL, _IOLBF, 0);
	node = MUST(kmod_open());
	iommufd = MUST(new_iommufd());
	fail_nth = MUST(open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC));
	clear_slot();
	move_to(edu, "vfio-pci");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		for (nth = 1; take(&paths[i], nth); nth++)
			EXPECT(true, nth < POINTS_MAX);
		printf("%s: %u\n", paths[i].name, nth - 1);
		sum += nth - 1;
	}
	printf("%u allocations have failed, one at a time\n", sum);
	give_back(edu, "");
	restore_slot();
	return 0;
}

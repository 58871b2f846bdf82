/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file is the truth after a restart: a lease is written before its descriptors go out. The end of a lease has happened
 * whether it can be written or not; then the file is stale, and is made anew before anything is added. It is also made anew
 * when most of its lines are of the past.
 */
#include "broker/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/ledger-record.h"
#include "util/log.h"

#define LOCK_FILE "lock"
#define COMPACT_LINES 512

struct ledger {
	int dir_fd;
	int lock_fd;
	struct ledger_file file;
	size_t n_fresh; /* lines that it had when it was made anew */
	bool stale; /* it shows what is over */
};

struct ledger *ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return NULL;
	ledger_file_close(&ledger->file);
	close_fd(ledger->lock_fd);
	close_fd(ledger->dir_fd);
	free(ledger);
	return NULL;
}

DEFINE_CLEANUP(ledger, struct ledger *, ledger_free)

static int take_lock(struct ledger *ledger)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	ledger->lock_fd = openat(ledger->dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ledger->lock_fd < 0)
		return -errno;
	if (fcntl(ledger->lock_fd, F_SETLK, &lock) < 0)
		return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
	return 0;
}

int ledger_open(int dir_fd, struct ledger **ret)
{
	_cleanup_(cleanup_ledger) struct ledger *ledger = calloc(1, sizeof(*ledger));
	int r;

	if (!ledger)
		return -ENOMEM;
	ledger->lock_fd = -1;
	ledger->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	ledger->file = (struct ledger_file)LEDGER_FILE_INIT(ledger->dir_fd);
	if (ledger->dir_fd < 0)
		return -errno;
	r = take_lock(ledger);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(ledger);
	return 0;
}

/* ---- writing ---- */

static void add_past(struct ledger_lines *lines, const struct broker *broker, const struct past_device *past)
{
	const struct device *device = registry_find_device(broker->registry, past->id.address);

	/* Of one that is gone nothing is remembered. */
	if (device && (past->had || past->quarantined))
		ledger_add_past(lines, past, device->node);
}

int ledger_rewrite(struct broker *broker)
{
	struct ledger *ledger = broker->ledger;
	struct ledger_lines lines = { 0 };
	const struct lease *lease;
	int r;

	if (!ledger)
		return 0;
	ledger_add_begin(&lines, broker->last_lease);
	for (size_t i = 0; i < broker->past.n; i++)
		add_past(&lines, broker, &broker->past.list[i]);
	list_for_each(lease, &broker->leases, link)
		if (lease->noted)
			ledger_add_lease(&lines, lease);
	r = ledger_file_replace(&ledger->file, &lines);
	ledger->n_fresh = r == 0 ? lines.n : ledger->n_fresh;
	ledger->stale = ledger->stale && r < 0;
	ledger_lines_clear(&lines);
	return r;
}

static int append(struct broker *broker, const struct ledger_lines *lines)
{
	struct ledger *ledger = broker->ledger;
	int r = 0;

	if (ledger->stale || ledger->file.fd < 0 || ledger->file.n_lines >= COMPACT_LINES + 2 * ledger->n_fresh)
		r = ledger_rewrite(broker);
	if (r < 0 && (ledger->stale || ledger->file.fd < 0))
		return r;
	r = ledger_file_append(&ledger->file, lines);
	ledger->stale = ledger->stale || r == -EIO;
	return r;
}

int ledger_note_lease(struct lease *lease)
{
	struct ledger_lines lines = { 0 };
	int r;

	if (!lease->broker->ledger)
		return 0;
	ledger_add_lease(&lines, lease);
	r = append(lease->broker, &lines);
	ledger_lines_clear(&lines);
	if (r == 0)
		lease->noted = true;
	return r;
}

/* Where one more line does not go, a new file may. */
static void append_or_rewrite(struct broker *broker, const struct ledger_lines *lines)
{
	int r = append(broker, lines);

	if (r == 0)
		return;
	broker->ledger->stale = true;
	r = ledger_rewrite(broker);
	if (r < 0)
		log_error("the ledger can't be written: %s; it is tried again with the next lease", strerror(-r));
}

void ledger_note_end(struct lease *lease)
{
	struct ledger_lines lines = { 0 };

	if (!lease->noted)
		return;
	lease->noted = false;
	ledger_add_end(&lines, lease->id);
	append_or_rewrite(lease->broker, &lines);
	ledger_lines_clear(&lines);
}

void ledger_note_past(struct broker *broker, const struct past_device *past)
{
	struct ledger_lines lines = { 0 };

	if (!broker->ledger)
		return;
	add_past(&lines, broker, past);
	if (lines.n > 0 || lines.failed)
		append_or_rewrite(broker, &lines);
	ledger_lines_clear(&lines);
}

/* ---- reading ---- */

/* Devices that were read, and wait for their lease's line. */
struct pending {
	struct ledger_record *list;
	size_t n, capacity;
};

static bool pending_add(struct pending *pending, const struct ledger_record *record)
{
	if (pending->n == pending->capacity) {
		size_t capacity = pending->capacity ? 2 * pending->capacity : 16;
		struct ledger_record *larger = reallocarray(pending->list, capacity, sizeof(*larger));

		if (!larger)
			return false;
		pending->list = larger;
		pending->capacity = capacity;
	}
	pending->list[pending->n++] = *record;
	return true;
}

static void pending_clear(struct pending *pending)
{
	for (size_t i = 0; i < pending->n; i++)
		json_object_put(pending->list[i].object);
	pending->n = 0;
}

/* Whether the devices that were read are those of the lease, which of its lines is the last. */
static bool is_whole(const struct pending *pending, const struct ledger_lease *record)
{
	size_t n_parked = 0;

	if (pending->n != (size_t)record->devices + record->parked)
		return false;
	for (size_t i = 0; i < pending->n; i++) {
		const struct ledger_device *device = &pending->list[i].device;

		/* Those that are parked follow. */
		if (device->lease != record->lease || (!device->parked && n_parked > 0))
			return false;
		n_parked += device->parked;
		if (device->parked && device->parked_for != UINT32_MAX && device->parked_for >= record->devices)
			return false;
	}
	return n_parked == record->parked;
}

static void forget_lease(struct list_link *leases, uint64_t id)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, leases, link)
		if (lease->id == id)
			lease_free(lease);
}

static const struct opener *find_opener(const struct broker *broker, const char *name)
{
	for (const struct opener *const *opener = broker->openers; *opener; opener++)
		if (strcmp((*opener)->name, name) == 0)
			return *opener;
	return NULL;
}

/* Whoever was granted a device has had it, whatever became of the lease. -ENOMEM. */
static int take_pasts(struct broker *broker, const struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		const struct lease_device *leased = lease->devices[i];
		const struct device *device = registry_find_device(broker->registry, leased->id.address);
		struct past_device *past;

		if (!device || device->node != leased->node ||
		    memcmp(&device->id, &leased->id, sizeof(leased->id)) != 0)
			continue;
		if (past_reserve(&broker->past, &leased->id) < 0)
			return -ENOMEM;
		past = past_find(&broker->past, &leased->id);
		past->had = true;
		past->uid = lease->uid;
	}
	return 0;
}

/* 1: it was taken in; 0: it says what can't be; -ENOMEM. */
static int take_lease(struct broker *broker, const struct pending *pending, const struct ledger_lease *record,
		      struct list_link *leases)
{
	const struct opener *opener = find_opener(broker, record->backend);
	struct lease *lease;
	bool fine;

	if (!opener || !is_whole(pending, record))
		return 0;
	lease = lease_new(broker, record->devices, record->parked);
	fine = lease && ledger_fill_lease(record, lease);
	for (size_t i = 0; fine && i < pending->n; i++)
		fine = ledger_fill_device(&pending->list[i].device, lease->devices[i]);
	fine = fine && take_pasts(broker, lease) == 0;
	if (!fine) {
		lease_free(lease);
		return -ENOMEM;
	}
	lease->opener = opener;
	forget_lease(leases, lease->id);
	list_append(leases, &lease->link);
	if (lease->id > broker->last_lease)
		broker->last_lease = lease->id;
	return 1;
}

/* Only of a device that is there still: another one at its address has another past. */
static int take_past(struct broker *broker, const struct ledger_past *record)
{
	const uint32_t numbers[5] = { record->vendor, record->device, record->subsystem_vendor,
				      record->subsystem_device, record->class };
	const struct device *device = registry_find_device(broker->registry, record->address);
	struct past_device *past;
	struct device_id id;

	ledger_fill_id(&id, record->address, numbers);
	if (!device || device->node != record->node || memcmp(&device->id, &id, sizeof(id)) != 0)
		return 0;
	if (past_reserve(&broker->past, &id) < 0)
		return -ENOMEM;
	past = past_find(&broker->past, &id);
	past->had = record->uid != UINT32_MAX;
	past->uid = record->uid;
	past->quarantined = record->quarantined;
	return 0;
}

/* 0; 1: the line says what can't be; -ENOMEM. */
static int take_line(struct broker *broker, const char *line, struct pending *pending, struct list_link *leases)
{
	struct ledger_record record;
	int r = 0;

	if (!ledger_decode(line, &record))
		return 1;
	switch (record.type) {
	case LEDGER_BEGIN:
		if (record.begin.last_lease > broker->last_lease)
			broker->last_lease = record.begin.last_lease;
		break;
	case LEDGER_DEVICE:
		if (pending_add(pending, &record))
			return 0;
		r = -ENOMEM;
		break;
	case LEDGER_LEASE:
		r = take_lease(broker, pending, &record.lease, leases);
		r = r < 0 ? r : !r;
		pending_clear(pending);
		break;
	case LEDGER_END:
		forget_lease(leases, record.end.lease);
		break;
	case LEDGER_PAST:
		r = take_past(broker, &record.past);
		break;
	}
	json_object_put(record.object);
	return r;
}

int ledger_load(struct broker *broker, struct ledger_found *ret)
{
	struct ledger_content content = { 0 };
	struct pending pending = { 0 };
	int r = 0;

	list_init(&ret->leases);
	ret->n_damaged = 0;
	ret->aside[0] = '\0';
	if (!broker->ledger)
		return 0;
	r = ledger_file_read(broker->ledger->dir_fd, &content);
	for (size_t i = 0; r >= 0 && i < content.n_lines; i++) {
		r = take_line(broker, content.lines[i], &pending, &ret->leases);
		content.n_damaged += r == 1;
	}
	pending_clear(&pending);
	free(pending.list);
	if (r >= 0 && content.torn)
		log_notice("ledger: an unfinished line of %zu bytes at the end was left out", content.torn);
	if (r >= 0)
		r = 0;
	if (r == 0 && content.n_damaged)
		r = ledger_file_set_aside(broker->ledger->dir_fd, ret->aside, sizeof(ret->aside));
	ret->n_damaged = content.n_damaged;
	ledger_content_clear(&content);
	return r;
}

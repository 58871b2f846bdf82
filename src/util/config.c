/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/fileio.h"
#include "util/ini.h"
#include "util/log.h"

#define CONFIG_SIZE_MAX 65536
#define SYSTEM_FILE "/etc/iommud/iommud.conf"

enum unit {
	UNIT_COUNT, /* an unsigned int */
	UNIT_SECONDS, /* kept as microseconds */
	UNIT_BYTES, /* with K or M */
	UNIT_MODULE, /* an unsigned int: one of the words of enum config_module */
};

static const char *const module_words[] = {
	[CONFIG_MODULE_OFF] = "off",
	[CONFIG_MODULE_PREFER] = "prefer",
	[CONFIG_MODULE_REQUIRE] = "require",
};

static const struct key {
	const char *section;
	const char *name;
	enum unit unit;
	size_t offset;
	unsigned long minimum;
	unsigned long maximum;
	unsigned long value; /* the default */
} keys[] = {
	{ "Limits", "MaxConnections", UNIT_COUNT, offsetof(struct config, max_connections), 1, 65536, 4096 },
	{ "Limits", "MaxConnectionsPerUser", UNIT_COUNT, offsetof(struct config, max_connections_per_user), 1, 65536,
	  256 },
	{ "Limits", "MaxLeasesPerUser", UNIT_COUNT, offsetof(struct config, max_leases_per_user), 1, 65536, 64 },
	{ "Timeouts", "PrepareTimeoutSec", UNIT_SECONDS, offsetof(struct config, prepare_timeout_usec), 1, 3600, 60 },
	{ "Timeouts", "LingerAfterSec", UNIT_SECONDS, offsetof(struct config, linger_after_usec), 0, 3600, 2 },
	{ "Timeouts", "MessageTimeoutSec", UNIT_SECONDS, offsetof(struct config, message_timeout_usec), 1, 3600, 10 },
	{ "Timeouts", "SendTimeoutSec", UNIT_SECONDS, offsetof(struct config, send_timeout_usec), 1, 3600, 30 },
	{ "Events", "BufferSize", UNIT_BYTES, offsetof(struct config, event_buffer_size), 65536, 1ul << 30,
	  128ul << 20 },
	{ "Helper", "WorkerTimeoutSec", UNIT_SECONDS, offsetof(struct config, worker_timeout_usec), 1,
	  CONFIG_WORKER_TIMEOUT_MAX, 30 },
	{ "Helper", "MaxWorkers", UNIT_COUNT, offsetof(struct config, max_workers), 1, CONFIG_WORKERS_MAX, 16 },
	{ "Kernel", "KernelModule", UNIT_MODULE, offsetof(struct config, kernel_module), 0, 0, CONFIG_MODULE_PREFER },
};

static void set_value(const struct key *key, struct config *config, unsigned long value)
{
	char *target = (char *)config + key->offset;

	switch (key->unit) {
	case UNIT_COUNT:
	case UNIT_MODULE:
		*(unsigned int *)(void *)target = (unsigned int)value;
		break;
	case UNIT_SECONDS:
		*(uint64_t *)(void *)target = (uint64_t)value * 1000000;
		break;
	case UNIT_BYTES:
		*(size_t *)(void *)target = value;
		break;
	}
}

const char *config_module_name(unsigned int module)
{
	return module_words[module];
}

void config_set_defaults(struct config *config)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		set_value(&keys[i], config, keys[i].value);
}

struct reader {
	struct config *config;
	char section[32];
	bool section_known;
	unsigned int seen; /* a bit for each key */
	bool failed;
};

static void report(struct reader *reader, const struct ini_place *place, const char *message, const char *what)
{
	reader->failed = true;
	log_error("%s:%u:%u: error: %s%s", place->file, place->line, place->column, message, what);
}

static void read_section(void *userdata, const struct ini_place *place, const char *section)
{
	struct reader *reader = userdata;

	reader->section_known = false;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].section, section) == 0) {
			strcpy(reader->section, keys[i].section);
			reader->section_known = true;
		}
	if (!reader->section_known)
		report(reader, place,
		       "unknown section; there are [Limits], [Timeouts], [Events], [Helper] and [Kernel], not ",
		       section);
}

static bool parse_module(const char *text, unsigned long *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(module_words); i++)
		if (strcmp(module_words[i], text) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static bool parse_value(const struct key *key, const char *text, unsigned long *ret)
{
	unsigned long value;
	char *end;

	if (key->unit == UNIT_MODULE)
		return parse_module(text, ret);
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || value > key->maximum)
		return false;
	if (key->unit == UNIT_BYTES && (*end == 'K' || *end == 'M'))
		value <<= *end++ == 'K' ? 10 : 20;
	if (*end || value < key->minimum || value > key->maximum)
		return false;
	*ret = value;
	return true;
}

static void read_value(void *userdata, const struct ini_place *key_place, const char *name,
		       const struct ini_place *value_place, const char *text)
{
	struct reader *reader = userdata;
	unsigned long value;

	if (!reader->section_known)
		return; /* said at the section */
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].section, reader->section) != 0 || strcmp(keys[i].name, name) != 0)
			continue;
		if (reader->seen & (1u << i))
			report(reader, key_place, "this key was set above: ", name);
		else if (!parse_value(&keys[i], text, &value))
			report(reader, value_place,
			       keys[i].unit == UNIT_MODULE ? "not require, prefer or off: "
							   : "no number in the range that iommud.conf(5) gives: ",
			       text);
		else
			set_value(&keys[i], reader->config, value);
		reader->seen |= 1u << i;
		return;
	}
	report(reader, key_place, "unknown key, see iommud.conf(5): ", name);
}

static void read_error(void *userdata, const struct ini_place *place, const char *message)
{
	report(userdata, place, message, "");
}

int config_load(const char *path, struct config *config)
{
	static const struct ini_handler handler = { read_section, read_value, read_error };
	struct config read = *config;
	struct reader reader = { .config = &read };
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = read_whole_file_at(AT_FDCWD, path, CONFIG_SIZE_MAX, &text, &size);

	if (r < 0)
		return r;
	ini_parse(path, text, size, &handler, &reader);
	if (reader.failed)
		return -EINVAL;
	*config = read;
	return 0;
}

int config_start(const char *path, struct config *config)
{
	int r;

	config_set_defaults(config);
	r = config_load(path ? path : SYSTEM_FILE, config);
	if (r == -ENOENT && !path)
		return 0;
	if (r < 0 && r != -EINVAL)
		log_error("%s: %s", path ? path : SYSTEM_FILE, strerror(-r));
	return r;
}

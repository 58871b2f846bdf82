/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static struct fake_module *the_module;

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	abort();
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	size_t used = strlen(the_module->trace);
	va_list args;

	va_start(args, format);
	vsnprintf(the_module->trace + used, sizeof(the_module->trace) - used, format, args);
	va_end(args);
}

static const char *kind_of(const struct ownership_claim *claim)
{
	if (claim->flags & IOMMUD_CLAIM_DENY_ONLY)
		return "denying";
	return claim->iommufd >= 0 ? "context" : "parked";
}

static void note_claim(const struct ownership_claim *claim)
{
	note("claim(%s %s%s", claim->device, kind_of(claim), claim->flags & IOMMUD_CLAIM_SINGLETON ? " singleton" : "");
	if (claim->label)
		note(" %s", claim->label);
	for (const char *const *driver = claim->drivers; driver && *driver; driver++)
		note(" +%s", *driver);
	note(") ");
}

static int fake_claim(int node, const struct ownership_claim *claim)
{
	struct fake_module *module = the_module;
	int ends[2];

	(void)fake_module_n_open(module);
	note_claim(claim);
	if (module->n_eagain > 0) {
		module->n_eagain--;
		return -EAGAIN;
	}
	if (module->n_fine > 0)
		module->n_fine--;
	else if (module->claim_error)
		return -module->claim_error;
	must(module->n_claims < FAKE_CLAIMS && pipe2(ends, O_CLOEXEC) == 0, "pipe");
	module->claims[module->n_claims++].other_end = ends[1];
	module->iommufd = claim->iommufd;
	return ends[0];
}

static int fake_query(int node, const char *bus, const char *device, struct iommud_member *ret, size_t room)
{
	if (!the_module->offender.device[0])
		return 0;
	*ret = the_module->offender;
	return 1;
}

static int fake_hand_off(int claim)
{
	note("handoff ");
	return 0;
}

static int fake_give_back(int claim)
{
	note("giveback ");
	return the_module->busy ? 0 : 1;
}

static const struct ownership_ops ops = {
	.claim = fake_claim, .query = fake_query, .hand_off = fake_hand_off, .give_back = fake_give_back
};

void fake_module_start(struct fake_module *module)
{
	int ends[2];

	memset(module, 0, sizeof(*module));
	must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
	module->ownership = (struct ownership){
		.ops = &ops,
		.node = -1,
		.events = ends[0],
		.abi_version = IOMMUD_ABI_VERSION,
		.features = IOMMUD_FEATURE_PARK | IOMMUD_FEATURE_IOMMUFD | IOMMUD_FEATURE_DENIAL |
			    IOMMUD_FEATURE_SINGLETON | IOMMUD_FEATURE_LABELS,
	};
	module->events_end = ends[1];
	the_module = module;
}

void fake_module_stop(struct fake_module *module)
{
	for (size_t i = 0; i < module->n_claims; i++)
		close_fd(module->claims[i].other_end);
	close_fd(module->ownership.events);
	close_fd(module->events_end);
	the_module = NULL;
}

static bool is_closed(int other_end)
{
	struct pollfd poller = { .fd = other_end };

	return poll(&poller, 1, 0) == 1 && (poller.revents & POLLERR);
}

size_t fake_module_n_open(struct fake_module *module)
{
	size_t n = 0;

	for (size_t i = 0; i < module->n_claims; i++) {
		if (module->claims[i].other_end < 0)
			continue;
		if (is_closed(module->claims[i].other_end)) {
			note("close ");
			module->claims[i].other_end = close_fd(module->claims[i].other_end);
		} else {
			n++;
		}
	}
	return n;
}

void fake_module_end_last(struct fake_module *module)
{
	struct fake_module_claim *claim = &module->claims[module->n_claims - 1];

	claim->other_end = close_fd(claim->other_end);
}

void fake_module_tell(struct fake_module *module, enum iommud_event_type type, const char *device, unsigned int group,
		      const char *driver, int error)
{
	struct iommud_event event = { .type = type, .group = group, .error = (uint32_t)error };

	snprintf(event.device, sizeof(event.device), "%s", device);
	snprintf(event.driver, sizeof(event.driver), "%s", driver ? driver : "");
	must(write(module->events_end, &event, sizeof(event)) == sizeof(event), "event");
}

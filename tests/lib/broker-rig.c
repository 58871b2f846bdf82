/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker-rig.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy-text.h"
#include "util/cleanup.h"
#include "util/log.h"

int rig_open_result;
unsigned int rig_n_opens;
struct opener_device rig_opened;
int rig_bus_reset_error;
unsigned int rig_n_bus_resets;
void (*rig_while_opening)(struct rig *rig);
struct ownership *rig_module;
bool rig_has_iommufd = true;
bool rig_opens_later;
int rig_state_fd = -1;
const struct keeper *rig_keeper;
static struct rig *rig_of_opener;

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	abort();
}

static bool fake_iommufd_available(int dev_fd)
{
	return rig_has_iommufd;
}

static bool fake_legacy_available(int dev_fd)
{
	return !rig_has_iommufd;
}

static int fake_open(int dev_fd, const struct opener_device *devices, size_t n_devices, struct opened *ret,
		     char *failed, size_t failed_size)
{
	rig_n_opens++;
	rig_opened = devices[0];
	if (rig_while_opening)
		rig_while_opening(rig_of_opener);
	if (rig_open_result < 0) {
		snprintf(failed, failed_size, "the test says no");
		return rig_open_result;
	}
	opened_init(ret);
	ret->iommu_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ret->n_devices = n_devices;
	for (size_t i = 0; i < n_devices; i++)
		ret->device_fd[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

static int fake_reset_buses(int dev_fd, const struct opener_device *devices, size_t n_devices, struct bus_reset *ret,
			    char *failed, size_t failed_size)
{
	*ret = (struct bus_reset){ .asked = true, .error = rig_bus_reset_error };
	for (size_t i = 0; i < n_devices; i++)
		rig_n_bus_resets += devices[i].reset_bus;
	snprintf(failed, failed_size, "the test says no");
	return ret->error && !bus_reset_is_impossible(ret) ? -ret->error : 0;
}

static struct opener fake_iommufd = { .name = "iommufd",
				      .available = fake_iommufd_available,
				      .open = fake_open,
				      .reset_buses = fake_reset_buses,
				      .has_context = true };
static const struct opener fake_legacy = { .name = "legacy", .available = fake_legacy_available, .open = fake_open };
static const struct opener *const openers[] = { &fake_iommufd, &fake_legacy, NULL };

static void hear(void *userdata, const struct broker_event *event)
{
	struct rig *rig = userdata;
	size_t used = strlen(rig->events);

	snprintf(rig->events + used, sizeof(rig->events) - used, "%s ", event->name);
	snprintf(rig->last_event, sizeof(rig->last_event), "%s", event->message);
	if (rig->on_event)
		rig->on_event(rig->on_event_userdata, event);
}

static void add_device(struct rig *rig, const char *address, int group, const char *driver, uint32_t class)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = address,
								 .vendor = 0x8086,
								 .device = 0x10d3,
								 .class = class,
								 .group = group,
								 .driver = driver });
}

static void make_machine(struct rig *rig)
{
	rig->sysfs = fake_sysfs_new();
	fake_sysfs_add_driver(rig->sysfs, "pci", "vfio-pci");
	fake_sysfs_add_driver(rig->sysfs, "pci", "pci-stub");
	add_device(rig, NIC, 1, "e1000e", 0x020000);
	add_device(rig, EDU, 2, NULL, 0x00ff00);
	add_device(rig, SLOT_NIC, 3, "e1000", 0x020000);
	add_device(rig, SLOT_NVME, 3, "nvme", 0x010802);
	add_device(rig, SLOT_EDU, 3, NULL, 0x00ff00);
	add_device(rig, BRIDGE, 4, "pcieport", 0x060400);
}

const char *rig_dev = "/dev";
int (*rig_node_context)(int fd, char *ret, size_t size);

struct policy *rig_policy(const char *text)
{
	return policy_must_load(text);
}

/* The broker, and what it alone uses. */
static void start_broker(struct rig *rig, const char *policy)
{
	struct broker_config config = { .openers = openers,
					.state_fd = rig_state_fd,
					.keeper = rig_keeper,
					.limits = { .leases_per_uid = 2,
						    .prepare_timeout_usec = 3600000000,
						    .linger_after_usec = 3600000000,
						    .holders_fresh_usec = UINT64_MAX },
					.node_context = rig_node_context,
					.event = hear,
					.userdata = rig };

	must(registry_new(fake_sysfs_fd(rig->sysfs), &rig->registry) == 0, "registry");
	must(registry_scan(rig->registry) == 0, "scan");
	must(helper_client_new(rig->fake.path, &rig->helper) == 0, "helper");
	config.registry = rig->registry;
	config.helper = rig->helper;
	config.dev_fd = rig->dev_fd;
	config.policy = rig_policy(policy);
	config.module = rig_module;
	memcpy(rig->fake.digest, policy_digest(config.policy), DIGEST_SIZE);
	must(broker_new(&config, &rig->broker) == 0, "broker");
}

void rig_start(struct rig *rig, const char *policy)
{
	memset(rig, 0, sizeof(*rig));
	rig_open_result = 0;
	rig_n_opens = 0;
	rig_bus_reset_error = 0;
	rig_n_bus_resets = 0;
	rig_while_opening = NULL;
	rig_of_opener = rig;
	fake_iommufd.may_block = rig_opens_later;
	log_init("test", -1);
	make_machine(rig);
	rig->alice = (struct identity){ .uid = 1000, .gid = 1000, .pid = 1, .pidfd = -1 };
	rig->bob = (struct identity){ .uid = 1001, .gid = 1001, .pid = 1, .pidfd = -1 };
	rig->root = (struct identity){ .uid = 0, .gid = 0, .pid = 1, .pidfd = -1 };
	fake_helper_start(&rig->fake, rig->sysfs);
	rig->dev_fd = open(rig_dev, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	start_broker(rig, policy);
}

/* Peers are the caller's to forget: their end is not told to a broker that was killed. */
static void stop_broker(struct rig *rig)
{
	broker_free(rig->broker);
	helper_client_free(rig->helper);
	registry_free(rig->registry);
}

void rig_kill_broker(struct rig *rig, const char *policy)
{
	stop_broker(rig);
	rig->fake.connection = close_fd(rig->fake.connection);
	start_broker(rig, policy);
}

void rig_stop(struct rig *rig)
{
	rig_forget(rig);
	stop_broker(rig);
	fake_helper_stop(&rig->fake);
	fake_sysfs_free(rig->sysfs);
	close_fd(rig->dev_fd);
	rig_module = NULL;
	rig_has_iommufd = true;
	rig_opens_later = false;
}

static bool is_readable(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&poller, 1, 0) == 1;
}

void rig_settle(struct rig *rig)
{
	bool busy = true;

	while (busy) {
		busy = fake_helper_serve(&rig->fake) > 0;
		if (is_readable(helper_client_get_fd(rig->helper))) {
			busy = true;
			if (helper_client_dispatch(rig->helper) < 0)
				broker_helper_lost(rig->broker);
		}
		broker_dispatch(rig->broker);
		if (rig_module)
			broker_module_dispatch(rig->broker);
		if (broker_next_deadline(rig->broker) == 0) {
			busy = true;
			broker_expire(rig->broker, 0);
		}
	}
}

static void copy_refusal(struct outcome *outcome, const struct refusal *refusal)
{
	outcome->refusal = refusal->kind;
	outcome->line = refusal->line;
	outcome->state = refusal->state;
	snprintf(outcome->message, sizeof(outcome->message), "%s", refusal->message);
	snprintf(outcome->token, sizeof(outcome->token), "%s", refusal->token);
	snprintf(outcome->word, sizeof(outcome->word), "%s", refusal->word);
	snprintf(outcome->file, sizeof(outcome->file), "%s", refusal->file ? refusal->file : "");
	snprintf(outcome->label, sizeof(outcome->label), "%s", refusal->label ? refusal->label : "");
	snprintf(outcome->other_label, sizeof(outcome->other_label), "%s",
		 refusal->other_label ? refusal->other_label : "");
}

static void answered(void *userdata, int error, const struct lease *lease, struct opened *opened,
		     const struct refusal *refusal)
{
	struct rig *rig = userdata;
	struct outcome *outcome = &rig->outcome;

	outcome->n++;
	outcome->error = error;
	if (refusal)
		copy_refusal(outcome, refusal);
	if (!lease)
		return;
	outcome->lease = lease->id;
	outcome->n_devices = lease->n_devices;
	snprintf(outcome->label, sizeof(outcome->label), "%s", lease->label ? lease->label : "");
	outcome->iommu_fd = TAKE_FD(opened->iommu_fd);
	for (size_t i = 0; i < lease->n_devices && i < ARRAY_SIZE(outcome->device_fd); i++)
		outcome->device_fd[i] = TAKE_FD(opened->device_fd[i]);
}

void rig_forget(struct rig *rig)
{
	if (rig->outcome.n_devices) {
		close_fd(rig->outcome.iommu_fd);
		for (size_t i = 0; i < rig->outcome.n_devices && i < ARRAY_SIZE(rig->outcome.device_fd); i++)
			close_fd(rig->outcome.device_fd[i]);
	}
	memset(&rig->outcome, 0, sizeof(rig->outcome));
}

void rig_acquire(struct rig *rig, struct peer *peer, const char *devices, const char *backend, const char *consent)
{
	_cleanup_free_ char *text = strdup(devices);
	const char *list[32];
	_cleanup_free_ char *token = consent ? strdup(consent) : NULL; /* it may be the last outcome's */
	struct acquire_request request = { .devices = list, .backend = backend, .consent = token };
	char *rest = text;

	for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		list[request.n_devices++] = word;
	rig_forget(rig);
	broker_acquire(rig->broker, peer, &request, answered, rig);
	rig_settle(rig);
}

const char *rig_driver(struct rig *rig, const char *address)
{
	static char driver[DEVICE_DRIVER_MAX];
	char link[256], path[512];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver", fake_sysfs_path(rig->sysfs), address);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	snprintf(driver, sizeof(driver), "%.39s", n < 0 ? "" : strrchr(link, '/') + 1);
	return driver;
}

enum lease_state rig_state(struct rig *rig, uint64_t id)
{
	const struct lease *lease;

	list_for_each(lease, broker_leases(rig->broker), link)
		if (lease->id == id)
			return lease->state;
	return LEASE_RELEASED;
}

bool rig_saw(const struct rig *rig, const char *event)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s ", event);
	return strstr(rig->events, wanted);
}

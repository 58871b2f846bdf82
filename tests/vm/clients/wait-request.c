/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wait-request: a client that listens to VFIO's device request interrupt, by which the kernel asks for a device back.
 *
 *   wait-request [--keep] --device N --iommu N
 *   wait-request [--keep] --device N --container N --group N
 *
 * Uses the device behind the fds, says "ready", and "requested" when the kernel asks. Then it closes everything and
 * ends, or with --keep goes on until the end of stdin. Exit status: 0, 1 when something failed, 2 usage.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"
#include "vfio-abi.h"

static void parse_options(int argc, char **argv, struct session *session, bool *keep)
{
	static const struct option known[] = {
		{ "keep", no_argument, NULL, 'k' },        { "device", required_argument, NULL, 'd' },
		{ "iommu", required_argument, NULL, 'i' }, { "container", required_argument, NULL, 'c' },
		{ "group", required_argument, NULL, 'g' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'k':
			*keep = true;
			break;
		case 'd':
			session->device = atoi(optarg);
			break;
		case 'i':
			session->iommu = atoi(optarg);
			break;
		case 'c':
			session->container = atoi(optarg);
			break;
		case 'g':
			session->group = atoi(optarg);
			break;
		default:
			exit(2);
		}
	}
	if (session->device < 0 || optind != argc) {
		fputs("wait-request [--keep] --device N --iommu N | --container N --group N\n", stderr);
		exit(2);
	}
}

/* An eventfd that the kernel signals when it wants the device. */
static int listen_for_request(int device)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} request = {
		.set = { .argsz = sizeof(request),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_REQ_IRQ_INDEX,
			 .count = 1 },
		.fd = eventfd(0, EFD_CLOEXEC),
	};

	if (request.fd < 0)
		return say_error("eventfd: %s", strerror(errno));
	if (ioctl(device, VFIO_DEVICE_SET_IRQS, &request))
		return say_error("VFIO_DEVICE_SET_IRQS of the request interrupt: %s", strerror(errno));
	return request.fd;
}

static bool input_has_ended(void)
{
	char buffer[256];

	return read(STDIN_FILENO, buffer, sizeof(buffer)) <= 0;
}

static int wait_for_request(int event, bool keep)
{
	struct pollfd fds[] = { { .fd = event, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return say_error("poll: %s", strerror(errno));
		if (fds[0].revents) {
			puts("requested");
			fds[0].fd = -1; /* the kernel asks every 10 s */
			if (!keep)
				return 0;
		}
		if (fds[1].revents && input_has_ended())
			return 0;
	}
}

int main(int argc, char **argv)
{
	struct session session = { .device = -1, .iommu = -1, .container = -1, .group = -1 };
	bool keep = false;
	int event;

	setlinebuf(stdout);
	parse_options(argc, argv, &session, &keep);
	if (session_setup(&session) < 0)
		return 1;
	event = listen_for_request(session.device);
	if (event < 0)
		return 1;
	puts("ready");
	return wait_for_request(event, keep) < 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmod-cost ROUNDS ADDRESS: what a claim of the device's group costs, against what the client does anyway. The device is on
 * vfio-pci. In each round its group is claimed for an iommufd, and let go; and it is bound to the iommufd by
 * VFIO_DEVICE_BIND_IOMMUFD, which only the close of its descriptor undoes.
 *
 * Prints the medians: "claim 0.120 ms (with its close 0.150 ms), bind 1.700 ms (with its close 2.000 ms): ratio 0.071". Exit
 * status: 0, or 1 after a message; 3 when a claim costs no less than a bind.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "kmod.h"
#include "vfio-abi.h"

#define ROUNDS_MAX 1000

struct costs {
	double begun[ROUNDS_MAX], whole[ROUNDS_MAX]; /* milliseconds: until it is had, and until it is undone */
};

static struct costs claims, binds;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void note_costs(struct costs *costs, unsigned int round, double before, double begun, double after)
{
	costs->begun[round] = begun - before;
	costs->whole[round] = after - before;
}

static int measure_claim(int node, const struct session *session, unsigned int round)
{
	double before = now(), begun;
	int claim = kmod_claim(node, session->address, session->iommu, 0, NULL, NULL);

	if (claim < 0)
		return say_error("CLAIM: %s", strerror(-claim));
	begun = now();
	close(claim);
	note_costs(&claims, round, before, begun, now());
	return 0;
}

static int measure_bind(const struct session *session, unsigned int round)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = session->iommu };
	double before = now(), begun;

	if (ioctl(session->device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return say_error("VFIO_DEVICE_BIND_IOMMUFD: %s", strerror(errno));
	begun = now();
	close(session->device);
	note_costs(&binds, round, before, begun, now());
	return 0;
}

static int measure(int node, const char *address, unsigned int round)
{
	struct session session = { .address = address, .device = -1, .iommu = -1, .container = -1, .group = -1 };
	int r = session_open_iommufd(&session);

	if (r == 0)
		r = measure_claim(node, &session, round);
	if (r == 0)
		r = measure_bind(&session, round);
	close(session.iommu);
	return r;
}

static int compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	int node = kmod_open();
	double claim, bind;

	if (rounds == 0 || rounds > ROUNDS_MAX) {
		fputs("kmod-cost ROUNDS ADDRESS\n", stderr);
		return 2;
	}
	if (node < 0) {
		say_error("/dev/iommud: %s", strerror(-node));
		return 1;
	}
	for (unsigned int i = 0; i < rounds; i++)
		if (measure(node, argv[2], i) < 0)
			return 1;
	claim = median(claims.begun, rounds);
	bind = median(binds.begun, rounds);
	printf("claim %.3f ms (with its close %.3f ms), bind %.3f ms (with its close %.3f ms): ratio %.3f\n", claim,
	       median(claims.whole, rounds), bind, median(binds.whole, rounds), claim / bind);
	return claim < bind ? 0 : 3;
}

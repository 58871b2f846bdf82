/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmod-claim [--singleton] DEVICE [LABEL]: claims the device's group for nobody, by the module's own call, says "claimed", and holds it until
 * its standard input ends. What the kernel has against it is the name of the errno on standard error, and exit status 1.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmod.h"

static int complain(int error)
{
	fprintf(stderr, "%s\n", strerrorname_np(-error));
	return 1;
}

int main(int argc, char **argv)
{
	bool singleton = argc > 1 && strcmp(argv[1], "--singleton") == 0;
	int node = kmod_open();
	int claim;
	char byte;

	argv += singleton;
	argc -= singleton;
	if (argc < 2)
		return 2;
	if (node < 0)
		return complain(node);
	claim = kmod_claim(node, argv[1], -1, singleton ? IOMMUD_CLAIM_SINGLETON : 0, argc > 2 ? argv[2] : NULL, NULL);
	if (claim < 0)
		return complain(claim);
	puts("claimed");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

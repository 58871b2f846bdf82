/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake-iommud SOCKET SCRIPT: the scripted varlink server of tests/lib as a program. Its log goes to standard output. */
#include <fcntl.h>
#include <stdio.h>

#include "fake-server.h"
#include "util/cleanup.h"
#include "util/fileio.h"

int main(int argc, char **argv)
{
	_cleanup_free_ char *script = NULL;
	int listener, r;

	if (argc != 3) {
		fprintf(stderr, "usage: fake-iommud SOCKET SCRIPT\n");
		return 2;
	}
	r = read_whole_file_at(AT_FDCWD, argv[2], 1024 * 1024, &script, NULL);
	listener = r < 0 ? -1 : fake_listen(argv[1]);
	if (listener < 0) {
		perror(r < 0 ? argv[2] : argv[1]);
		return 1;
	}
	dprintf(1, "ready\n");
	fake_serve(listener, script, 1);
}

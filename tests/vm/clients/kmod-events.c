/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kmod-events: a line for each event of the kernel module's, of all claims, until it is killed. */
#include <stdio.h>
#include <unistd.h>

#include "kmod.h"

static const char *const names[] = {
	[IOMMUD_EVENT_OVERFLOW] = "overflow",
	[IOMMUD_EVENT_ADDED] = "added",
	[IOMMUD_EVENT_REFUSED] = "refused",
	[IOMMUD_EVENT_BOUND] = "bound",
	[IOMMUD_EVENT_UNBOUND] = "unbound",
	[IOMMUD_EVENT_REMOVED] = "removed",
	[IOMMUD_EVENT_LABEL_REFUSED] = "label-refused",
	[IOMMUD_EVENT_CONTEXT_GONE] = "context-gone",
	[IOMMUD_EVENT_NOT_CLAIMED] = "not-claimed",
	[IOMMUD_EVENT_PARKED] = "parked",
	[IOMMUD_EVENT_LET_GO] = "let-go",
};

int main(void)
{
	int node = kmod_open();
	int events = node < 0 ? node : kmod_events(node);
	struct iommud_event event;

	if (events < 0)
		return 1;
	puts("listening");
	fflush(stdout);
	while (read(events, &event, sizeof(event)) == sizeof(event)) {
		if (event.type < sizeof(names) / sizeof(names[0]) && names[event.type])
			printf("%s %s %s\n", names[event.type], event.device, event.driver);
		fflush(stdout);
	}
	return 1;
}

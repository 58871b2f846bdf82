/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommud

#if !defined(_IOMMUD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _IOMMUD_TRACE_H

#include <linux/tracepoint.h>

/* clang-format off */
TRACE_EVENT(iommud_claim,
	TP_PROTO(int group, const char *device, u32 flags, pid_t pid),
	TP_ARGS(group, device, flags, pid),
	TP_STRUCT__entry(
		__field(int, group)
		__array(char, device, IOMMUD_DEVICE_MAX)
		__field(u32, flags)
		__field(pid_t, pid)
	),
	TP_fast_assign(
		__entry->group = group;
		strscpy(__entry->device, device, IOMMUD_DEVICE_MAX);
		__entry->flags = flags;
		__entry->pid = pid;
	),
	TP_printk("group=%d device=%s flags=%#x pid=%d", __entry->group, __entry->device, __entry->flags, __entry->pid)
);

TRACE_EVENT(iommud_release,
	TP_PROTO(int group, const char *device),
	TP_ARGS(group, device),
	TP_STRUCT__entry(
		__field(int, group)
		__array(char, device, IOMMUD_DEVICE_MAX)
	),
	TP_fast_assign(
		__entry->group = group;
		strscpy(__entry->device, device, IOMMUD_DEVICE_MAX);
	),
	TP_printk("group=%d device=%s", __entry->group, __entry->device)
);

TRACE_EVENT(iommud_refusal,
	TP_PROTO(int group, const char *device, const char *driver),
	TP_ARGS(group, device, driver),
	TP_STRUCT__entry(
		__field(int, group)
		__array(char, device, IOMMUD_DEVICE_MAX)
		__array(char, driver, IOMMUD_DRIVER_MAX)
	),
	TP_fast_assign(
		__entry->group = group;
		strscpy(__entry->device, device, IOMMUD_DEVICE_MAX);
		strscpy(__entry->driver, driver, IOMMUD_DRIVER_MAX);
	),
	TP_printk("group=%d device=%s driver=%s", __entry->group, __entry->device, __entry->driver)
);

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

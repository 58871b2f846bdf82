# SPDX-License-Identifier: GPL-2.0-or-later
# GNU make. `make help` lists the targets. Everything that is built goes below $(BUILD).

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
LIBDIR ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share
# systemd and udev read /usr/lib, /usr/local/lib for units and sysusers, udev rules only from /usr/lib and /etc.
UNITDIR ?= $(PREFIX)/lib/systemd/system
UDEVRULESDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib/udev/rules.d,/etc/udev/rules.d)

CC ?= gcc
BUILD ?= build
SANITIZE ?=
WERROR ?=

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wvla -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum -Wundef -Wno-unused-parameter
OPTIMIZE := $(if $(SANITIZE),-O1 -fno-omit-frame-pointer -fsanitize=address$(,)undefined -fno-sanitize-recover=all,\
	-O2 -D_FORTIFY_SOURCE=2)
, := ,
CFLAGS ?= -g
PACKAGES := libsystemd libudev json-c libpci libmd libcap
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DIOMMUD_VERSION='"$(VERSION)"' -Isrc -Iinclude -I$(BUILD)/gen $(WARNINGS) \
	$(if $(WERROR),-Werror) $(OPTIMIZE) -fstack-protector-strong -fvisibility=hidden -fPIC $(CFLAGS) \
	$(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
ALL_LDFLAGS = $(if $(SANITIZE),-fsanitize=address$(,)undefined) -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LIBS = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lpthread

# ---- what the programs are made of: the layers, lowest first; tests/tools/check-layers holds them to it ----
LAYERS := util topology policy hw broker varlink
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(foreach dir,$(1),$(wildcard src/$(dir)/*.c))))
CORE := $(BUILD)/libcore.a
DAEMON_OBJECTS := $(call objects,daemon)
# main() apart, so that tests can link the rest.
HELPER_MAIN := $(BUILD)/obj/src/helper/main.o
HELPER_OBJECTS := $(filter-out $(HELPER_MAIN),$(call objects,helper))
LIBIOMMUD_OBJECTS := $(call objects,libiommud)
IOMMUCTL_OBJECTS := $(call objects,iommuctl)

SONAME := libiommud.so.0
PROGRAMS := $(BUILD)/iommud $(BUILD)/iommud-helper $(BUILD)/iommuctl
LIBRARY := $(BUILD)/$(SONAME)

# make V=1 shows the commands.
ifeq ($(V),)
say = @printf '  %-4s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@);
else
say =
endif

.PHONY: all
all: $(PROGRAMS) $(LIBRARY) $(BUILD)/libiommud.so $(BUILD)/libiommud.a $(BUILD)/libiommud.pc

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The IDL file is the contract; the daemon serves its very text.
$(BUILD)/gen/io.iommud.varlink.h: src/varlink/io.iommud.varlink
	@mkdir -p $(@D)
	@{ echo 'static const char io_iommud_idl[] ='; sed 's/\\/\\\\/g;s/"/\\"/g;s/^/\t"/;s/$$/\\n"/' $<; echo ';'; } >$@.tmp
	@mv $@.tmp $@
$(call objects,varlink): | $(BUILD)/gen/io.iommud.varlink.h

$(CORE): $(call objects,$(LAYERS))
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/iommud: $(DAEMON_OBJECTS) $(CORE)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/iommud-helper: $(HELPER_MAIN) $(HELPER_OBJECTS) $(call objects,util topology policy)
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(LIBRARY): $(LIBIOMMUD_OBJECTS) src/libiommud/libiommud.map
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script,src/libiommud/libiommud.map -o $@ \
		$(LIBIOMMUD_OBJECTS) $(shell pkg-config --libs json-c 2>/dev/null)

$(BUILD)/libiommud.so: $(LIBRARY)
	@ln -sf $(SONAME) $@

$(BUILD)/libiommud.a: $(LIBIOMMUD_OBJECTS)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(BUILD)/libiommud.pc: src/libiommud/libiommud.pc.in Makefile
	@sed 's#@prefix@#$(PREFIX)#;s#@libdir@#$(LIBDIR)#;s#@version@#$(VERSION)#' $< >$@

$(BUILD)/iommuctl: $(IOMMUCTL_OBJECTS) $(LIBRARY) | $(BUILD)/libiommud.so
	$(call say,LD)$(CC) $(ALL_LDFLAGS) -o $@ $(IOMMUCTL_OBJECTS) -L$(BUILD) -liommud $(shell pkg-config --libs json-c 2>/dev/null)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

include tests/tests.mk

.PHONY: clean
clean:
	rm -rf build

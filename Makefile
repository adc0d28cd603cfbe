# kv: build, test, install. `make help` lists the targets.
# Needs GNU make; `make deps` installs everything else. Objects go to .build/, programs to the top.
SHELL := /bin/bash
.DEFAULT_GOAL := all
# A make started by this one shares its jobs; asking again would be warned about.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
MAKEFLAGS += --no-print-directory

VERSION := 1.0.0
PREFIX ?= /usr/local
DESTDIR ?=
CXX := g++
CC := gcc
AR := ar

# SAN=address,undefined builds everything once more, in a folder of its own.
SAN ?=
BUILD := .build/$(if $(SAN),san,release)
ifeq ($(SAN),)
OPTIMISE := -O2 -g1
PROGRAM_FOLDER := .
else
OPTIMISE := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
PROGRAM_FOLDER := $(BUILD)
endif

# Warnings are errors with the compiler we know; another one may warn about more.
WERROR := $(if $(filter 12,$(shell $(CXX) -dumpversion 2>/dev/null)),-Werror)
WARNINGS := -Wall -Wextra -Wconversion -Wshadow $(WERROR)
DEFINES := -DKV_VERSION='"$(VERSION)"' -D_FILE_OFFSET_BITS=64
INCLUDES := -I. -Ilibkv/client -I$(BUILD)/generated
FLAGS := $(OPTIMISE) $(WARNINGS) $(DEFINES) $(INCLUDES) -MMD -MP -fPIC -fvisibility=hidden
CXXFLAGS := -std=c++20 $(FLAGS)
CFLAGS := -std=c11 $(FLAGS)
LDFLAGS := $(if $(SAN),-fsanitize=$(SAN)) -Wl,--as-needed
SERVER_LIBS := -lz -ldeflate -llzf -lseccomp -pthread
CLIENT_LIBS := -pthread

# V=1 shows the commands themselves.
V ?=
say = $(if $(V),,@echo '  $@'; )

# --- what belongs to what ---
sources = $(sort $(wildcard $(addsuffix /*.cpp,$(1))))
objects = $(patsubst %.cpp,$(BUILD)/%.o,$(1))
COMMON_SOURCES := $(call sources,libkv/base libkv/value libkv/wire)
STORE_SOURCES := $(call sources,libkv/keyspace libkv/rdb libkv/commands libkv/engine libkv/process persistence)
CLIENT_SOURCES := $(call sources,libkv/client crypto)
CONSOLE_SOURCES := $(call sources,libkv/client/console)
UNIT_SOURCES := $(call sources,tests/unit)

LIBKV := $(BUILD)/libkv.a
CLIENT_A := $(BUILD)/libkvclient.a
CLIENT_SO := $(BUILD)/libkvclient.so.1
TABLES := $(BUILD)/tables
PAGES := $(BUILD)/pages
SERVER := $(PROGRAM_FOLDER)/server
CLIENT := $(PROGRAM_FOLDER)/client
UNIT := $(BUILD)/unit
GENERATED := $(BUILD)/generated/command_docs.cpp
GENERATED_O := $(BUILD)/generated/command_docs.o

# `make` alone asks for what is missing in a sentence instead of a compiler's page.
.PHONY: all deps check-deps run check test bench tidy format man install uninstall clean help
all: $(SERVER) $(CLIENT) $(LIBKV) $(CLIENT_A) $(CLIENT_SO)

help:
	@echo "make          build ./server, ./client and the libraries"
	@echo "make deps     install what building needs (Debian packages)"
	@echo "make run      deps, build, ./server --pass x --persist 60 in .data"
	@echo "make check    deps, build, every test; T=name runs the suites of that name"
	@echo "make bench    kv beside its peers; QUICK=1 in two minutes"
	@echo "make tidy     layout and style rules; make format: code as clang-format has it"
	@echo "make man      write the generated parts of the manual and the completions again"
	@echo "make install  PREFIX=$(PREFIX) DESTDIR=$(DESTDIR); also uninstall"
	@echo "make clean    remove what was built"
	@echo "SAN=address,undefined in front of any of them: the same with sanitizers"

# --- packages ---
BUILD_PACKAGES := g++ gcc libboost-dev libcereal-dev libgpgme-dev zlib1g-dev libdeflate-dev liblzf-dev \
  libcli11-dev libseccomp-dev libedit-dev pkg-config
TEST_PACKAGES := catch2 redis-server redis-tools picolisp python3 python3-redis strace gnupg \
  clang-format procps netcat-openbsd man-db tmux
BENCH_PACKAGES := redis-server redis-tools memcached gnuplot-nox python3
deps:
	@.ci/packages $(BUILD_PACKAGES)
check-deps:
	@.ci/packages $(BUILD_PACKAGES) $(TEST_PACKAGES)

# --- building ---
$(BUILD)/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) $(CXX) $(CXXFLAGS) -c $< -o $@
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) $(CC) $(CFLAGS) -c $< -o $@
$(GENERATED_O): $(GENERATED)
	$(say) $(CXX) $(CXXFLAGS) -c $< -o $@

# Changed flags or version rebuild everything.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CXX) $(CXXFLAGS) $(LDFLAGS)' | cmp -s - $@ || echo '$(CXX) $(CXXFLAGS) $(LDFLAGS)' > $@
FORCE:

$(LIBKV): $(call objects,$(COMMON_SOURCES) $(STORE_SOURCES))
	@rm -f $@
	$(say) $(AR) rcs $@ $^
$(CLIENT_A): $(call objects,$(COMMON_SOURCES) $(CLIENT_SOURCES)) $(GENERATED_O)
	@rm -f $@
	$(say) $(AR) rcs $@ $^
$(CLIENT_SO): $(call objects,$(COMMON_SOURCES) $(CLIENT_SOURCES)) $(GENERATED_O) libkv/client/libkvclient.map
	$(say) $(CXX) $(LDFLAGS) -shared -Wl,-soname,libkvclient.so.1 \
	  -Wl,--version-script=libkv/client/libkvclient.map $(filter %.o,$^) $(CLIENT_LIBS) -o $@
	@ln -sf libkvclient.so.1 $(BUILD)/libkvclient.so
$(SERVER): $(BUILD)/server.o $(LIBKV)
	$(say) $(CXX) $(LDFLAGS) $^ $(SERVER_LIBS) -o $@
# The client starts anew for every command: without a libstdc++ to load it starts in half the time.
# GPGME and libedit are loaded by name when first used, so they are not linked here.
$(CLIENT): $(BUILD)/client.o $(call objects,$(CONSOLE_SOURCES)) $(CLIENT_A)
	$(say) $(CXX) $(LDFLAGS) $(if $(SAN),,-static-libstdc++ -static-libgcc) $^ $(CLIENT_LIBS) -o $@

# The command table speaks once, in libkv/commands; this tool writes what others need of it.
$(TABLES): $(BUILD)/man/tables.o $(LIBKV)
	$(say) $(CXX) $(LDFLAGS) $^ $(SERVER_LIBS) -o $@
$(GENERATED): $(TABLES)
	@mkdir -p $(@D)
	$(TABLES) docs > $@.new && mv $@.new $@

# The manual and the completions also need both programs' options.
$(PAGES): $(BUILD)/man/pages.o $(LIBKV) $(CLIENT_A)
	$(say) $(CXX) $(LDFLAGS) $^ $(SERVER_LIBS) $(CLIENT_LIBS) -o $@

$(UNIT): $(call objects,$(UNIT_SOURCES)) $(LIBKV) $(CLIENT_A)
	$(say) $(CXX) $(LDFLAGS) $^ $(SERVER_LIBS) $(CLIENT_LIBS) -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# --- the manual ---
# Writes the generated parts again; tests/shell/man.sh notices when that was forgotten.
man: $(PAGES)
	@for page in server client; do \
	  $(PAGES) $$page man/$$page.1 > $(BUILD)/page && cp $(BUILD)/page man/$$page.1 || exit 1; done
	@for shell in bash zsh; do \
	  $(PAGES) $$shell > $(BUILD)/page && cp $(BUILD)/page man/completion.$$shell || exit 1; done

# --- installation ---
LIBDIR ?= $(PREFIX)/lib
BIN := $(DESTDIR)$(PREFIX)/bin
LIB := $(DESTDIR)$(LIBDIR)
INCLUDE := $(DESTDIR)$(PREFIX)/include/kv
MAN := $(DESTDIR)$(PREFIX)/share/man
BASH_COMPLETION := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_COMPLETION := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
# What `uninstall` takes away, file by file; folders stay unless they are kv's own and empty.
INSTALLED = $(BIN)/kv-server $(BIN)/kv-client $(LIB)/libkvclient.a $(LIB)/libkvclient.so \
  $(LIB)/libkvclient.so.1 $(LIB)/libkvclient.so.$(VERSION) $(LIB)/pkgconfig/libkvclient.pc \
  $(INCLUDE)/client.h $(INCLUDE)/client.hpp $(MAN)/man1/kv-server.1 $(MAN)/man1/kv-client.1 \
  $(MAN)/man3/libkvclient.3 $(MAN)/man5/kv.aof.5 $(BASH_COMPLETION)/kv-client \
  $(BASH_COMPLETION)/kv-server $(ZSH_COMPLETION)/_kv-client

define PKG_CONFIG
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$${prefix}/include

Name: libkvclient
Description: client library of the kv key/value server
Version: $(VERSION)
Cflags: -I$${includedir}
Libs: -L$${libdir} -lkvclient
Libs.private: $(CLIENT_LIBS) -lstdc++ -lm
endef
export PKG_CONFIG

install: all
	install -d $(BIN) $(LIB)/pkgconfig $(INCLUDE) $(MAN)/man1 $(MAN)/man3 $(MAN)/man5 \
	  $(BASH_COMPLETION) $(ZSH_COMPLETION)
	install -m 755 $(SERVER) $(BIN)/kv-server
	install -m 755 $(CLIENT) $(BIN)/kv-client
	install -m 644 $(CLIENT_A) $(LIB)/libkvclient.a
	install -m 644 $(CLIENT_SO) $(LIB)/libkvclient.so.$(VERSION)
	ln -sf libkvclient.so.$(VERSION) $(LIB)/libkvclient.so.1
	ln -sf libkvclient.so.1 $(LIB)/libkvclient.so
	install -m 644 libkv/client/kv/client.h libkv/client/kv/client.hpp $(INCLUDE)/
	@printf '%s\n' "$$PKG_CONFIG" > $(LIB)/pkgconfig/libkvclient.pc
	@chmod 644 $(LIB)/pkgconfig/libkvclient.pc
	@for page in man/*.1; do install -m 644 $$page $(MAN)/man1/kv-$${page#man/} || exit 1; done
	@for page in man/*.[35]; do [ ! -e $$page ] || \
	  install -m 644 $$page $(MAN)/man$${page##*.}/ || exit 1; done
	install -m 644 man/completion.bash $(BASH_COMPLETION)/kv-client
	ln -sf kv-client $(BASH_COMPLETION)/kv-server
	install -m 644 man/completion.zsh $(ZSH_COMPLETION)/_kv-client
uninstall:
	rm -f $(INSTALLED)
	@rmdir $(INCLUDE) 2>/dev/null || true

# --- running and testing ---
DATA := .data
run: deps
	@$(MAKE) all
	@mkdir -p -m 700 $(DATA)
	./server --pass x --persist 60 --dir $(DATA)

# What the tests get to know of this build.
export KV_SERVER = $(abspath $(SERVER))
export KV_CLIENT = $(abspath $(CLIENT))
export KV_BUILD = $(abspath $(BUILD))
export KV_TOP = $(CURDIR)
export SAN
T ?=
check: check-deps
	@$(MAKE) test
test: all $(UNIT) $(TABLES) $(PAGES)
	@tests/bench/run --compile
	@tests/run $(T)
tidy:
	@tests/run tidy
bench: all
	@.ci/packages $(BENCH_PACKAGES)
	@tests/bench/run $(if $(QUICK),--quick)
format:
	clang-format -i $$(git ls-files '*.cpp' '*.hpp' '*.h')
clean:
	rm -rf .build server client

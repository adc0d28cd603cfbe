// Every maximum of kv in one place, tied to each other by static_assert.
//
// Included from everywhere; includes nothing of kv. A limit that is not here does not exist:
// code that meets foreign bytes compares with one of these before it asks for memory.
#pragma once

#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>

namespace kv::limits {

// --- requests and values (bytes unless the name says otherwise) ---
inline constexpr std::size_t value_bytes_max = std::size_t{512} << 20;  // one key, value or element
inline constexpr std::size_t args_max = 1024 * 1024;                    // arguments of one request
inline constexpr std::size_t request_bytes_max = std::size_t{1} << 30;  // all arguments together
inline constexpr std::size_t inline_bytes_max = 64 * 1024;              // one inline line
inline constexpr std::size_t nesting_max = 32;                          // depth of a nested value
inline constexpr std::size_t number_digits_max = 4096;                // of a number beyond 64 bits
inline constexpr std::size_t reply_bytes_max = std::size_t{1} << 30;  // beyond: an error instead
inline constexpr std::size_t batch_replies_bytes_max =
    std::size_t{1} << 30;  // of requests that were sent together with a write
inline constexpr std::size_t memory_reserve_bytes = std::size_t{64} << 20;  // for when it is short

// --- files ---
inline constexpr std::size_t kept_line_bytes =
    std::size_t{1} << 20;  // a longer line of a file is not kept in memory without its escapes

// --- before a connection is authenticated ---
inline constexpr std::size_t guest_bulk_bytes_max = 16 * 1024;
inline constexpr std::size_t guest_args_max = 10;

// --- the channel between a child and the sibling ---
inline constexpr std::size_t frame_bytes_max = 64 * 1024;  // header and payload of one frame
inline constexpr std::size_t pipe_bytes = 256 * 1024;      // room of a pipe where children are few,
inline constexpr std::uint32_t few_children_max = 32;      // that is, at most so many
inline constexpr std::size_t announcement_bytes = 128;     // one announcement on pipe_sibling
inline constexpr std::size_t child_output_bytes_max = std::size_t{2} << 30;  // queued for one child
inline constexpr std::size_t unread_bytes_max =
    4 * 1024 * 1024;                                         // then a connection's requests wait
inline constexpr std::size_t taken_step_bytes = 256 * 1024;  // a child reports in such steps
inline constexpr std::size_t shared_bytes_min = 8 * 1024;    // from here on in a shared segment
inline constexpr int segments_max = 64;                      // of 15 MiB each
inline constexpr std::size_t large_reply_bytes = 64 * 1024;  // such a reply ends a batch
inline constexpr std::size_t read_bytes = 64 * 1024;         // asked of the kernel at a time

inline constexpr std::chrono::microseconds channel_turn{5'000};  // of a child's commands in a round
inline constexpr std::chrono::seconds attach_wait{30};  // for the sibling to open a child's pipes

// --- publish and subscribe ---
inline constexpr std::size_t subscription_cost_bytes = 256;  // what one takes beside its name
inline constexpr std::size_t subscriptions_bytes_max =
    std::size_t{32} << 20;  // of one connection, each as its name and that cost
inline constexpr std::size_t all_subscriptions_bytes_max = std::size_t{512} << 20;
inline constexpr std::size_t patterns_max = 10'000;  // different ones: PUBLISH looks at each
inline constexpr std::size_t patterns_bytes_max = std::size_t{1} << 20;  // of all of them
// Messages that a subscriber has not read: so many, or so many for so long, and it is hung up on.
inline constexpr std::size_t unread_messages_bytes_max = std::size_t{32} << 20;
inline constexpr std::size_t unread_messages_long_bytes = std::size_t{8} << 20;
inline constexpr std::chrono::seconds unread_messages_long{60};
inline constexpr std::size_t all_unread_messages_bytes_max = std::size_t{1} << 30;
inline constexpr std::size_t monitored_args_max = 128;        // shown of a request, and so many
inline constexpr std::size_t monitored_arg_bytes_max = 4096;  // of each
inline constexpr std::size_t publish_bytes_max = std::size_t{512} << 20;  // to all who hear it
inline constexpr std::size_t taken_message_step_bytes =
    16 * 1024;  // a child reports in such steps about who gets messages
inline constexpr std::size_t lagging_bytes =
    std::size_t{4} << 20;  // so much waits for a child: who publishes to it is held up, for at most
inline constexpr std::chrono::milliseconds lagging_wait{100};
inline constexpr std::size_t message_receivers_max = 8 * 1024;  // of one message frame

// --- processes and connections (counts) ---
inline constexpr std::size_t clients_max_default = 10'000;
inline constexpr std::size_t children_max = 16'384;  // slots of the shared counters
inline constexpr std::size_t databases_default = 16;
inline constexpr std::size_t databases_max = 16'384;

// --- names people give (bytes) ---
inline constexpr std::size_t password_bytes_max = 512;
inline constexpr std::size_t client_name_bytes_max = 256;

// --- what INFO errorstats tells apart ---
inline constexpr std::size_t error_words_max = 32;
inline constexpr std::size_t error_word_bytes_max = 30;

// --- sealed values ---
inline constexpr std::size_t recipients_max = 256;                 // keys a value is sealed for
inline constexpr std::size_t recipient_bytes_max = 512;            // one key id, address or name
inline constexpr std::size_t envelope_header_bytes_max = 1 << 20;  // the line inside the envelope

static_assert(taken_step_bytes * 4 <= unread_bytes_max, "reports must come before the limit");
static_assert(publish_bytes_max <= all_unread_messages_bytes_max / 2,
              "one message leaves room for what others have not read yet");
static_assert(message_receivers_max * 4 + 4 < frame_bytes_max, "the first frame names them all");
static_assert(announcement_bytes <= PIPE_BUF, "an announcement must be written atomically");
static_assert(value_bytes_max < request_bytes_max);
static_assert(value_bytes_max < reply_bytes_max, "every value can be read");
static_assert(reply_bytes_max + batch_replies_bytes_max <= child_output_bytes_max,
              "a client that reads is never taken for one that does not");
static_assert(request_bytes_max <= UINT32_MAX, "a frame carries 32-bit lengths");
static_assert(guest_bulk_bytes_max <= inline_bytes_max);
static_assert(frame_bytes_max <= read_bytes, "a leftover is never more than one read");

}  // namespace kv::limits

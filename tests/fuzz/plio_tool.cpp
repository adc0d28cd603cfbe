// A filter around libkv/wire for tests/shell/plio_real.sh: standard input to standard output.
// Never part of a program that is installed.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"

namespace {

using namespace kv;

int each_plio(const std::string& data, void (*show)(const Scalar&, std::string&)) {
  PlioReader reader(data);
  std::string out;
  for (Scalar value; reader.value(value); out += '\n') show(value, out);
  std::cout << out;
  return reader.error() == nullptr ? 0 : 1;
}

int text_to_plio(std::string_view text) {
  std::string out;
  Status status;
  while (status.ok()) status = read_lisp(text, out);
  std::cout << out;
  if (status.code() != Code::not_found) std::cerr << status.message() << '\n';
  return status.code() == Code::not_found ? 0 : 1;
}

/// ("bytes" next) a line: every byte alone and every byte between letters.
int odd_strings() {
  std::string out;
  for (int i = 0; i < 512; ++i) {
    const std::string byte(1, static_cast<char>(i));
    const std::string bytes = i < 256 ? byte : "a" + byte + "b";
    out += '(';
    print_lisp(Scalar(bytes), out);
    out += " next)\n";
  }
  std::cout << out;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 2 ? argv[1] : "";
  if (mode == "odd-strings") return odd_strings();
  const std::string data{std::istreambuf_iterator<char>(std::cin), {}};
  if (mode == "text-to-plio") return text_to_plio(data);
  if (mode == "plio-to-text") return each_plio(data, print_lisp);
  if (mode == "plio-to-hash")
    return each_plio(data, [](const Scalar& value, std::string& out) {
      out += std::to_string(plio_hash(value));
    });
  std::cerr << "usage: plio_tool text-to-plio | plio-to-text | plio-to-hash | odd-strings\n";
  return 2;
}

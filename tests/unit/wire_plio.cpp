// PLIO against vectors written by the real PicoLisp (23.2) and hashes it computed.
// tests/shell/plio_real.sh asks the installed picolisp itself.
#include <catch2/catch.hpp>
#include <string>

#include "libkv/wire/lisp_text.hpp"
#include "libkv/wire/plio.hpp"
#include "tests/unit/wire_help.hpp"

namespace kv {
namespace {

using test::from_hex;
using test::to_hex;

struct Vector {
  const char* text;  // Lisp text
  const char* hex;   // (pr X)
  std::uint32_t hash;
};

// Made by PicoLisp: (out "f" (pr X)) and (hash X).
const Vector vectors[] = {
    {"NIL", "00", 1},
    {"T", "0554", 56844},
    {"0", "0400", 1},
    {"1", "0402", 55682},
    {"-1", "0403", 5441},
    {"63", "047e", 43143},
    {"64", "0480", 24585},
    {"127", "04fe", 51343},
    {"128", "080001", 49169},
    {"255", "08fe01", 2207},
    {"256", "080002", 49188},
    {"12345", "087260", 64487},
    {"-7", "040f", 16449},
    {"2147483648", "140000000001", 64514},
    {"-576460752303423488", "200100000000000010", 193},
    {"1152921504606846975", "20feffffffffffff1f", 49282},
    {"1152921504606846976", "200000000000000020", 52226},
    {"-1152921504606846976", "200100000000000020", 193},
    {"9223372036854775808", "24000000000000000001", 40962},
    {"18446744073709551616", "24000000000000000002", 52418},
    {"-1000000000000000000000000000000", "3401000080d4dbe98ca039593e19", 43272},
    {"\"a\"", "0661", 35214},
    {"\"AUTH\"", "1241555448", 18011},
    {"\"1234567\"", "1e31323334353637", 40252},
    {"\"12345678\"", "223132333435363738", 15518},
    {"\"123456789\"", "26313233343536373839", 46042},
    {"\"é\"", "0ac3a9", 40683},
    {"\"😀\"", "12f09f9880", 22266},
    {"\"a^Jb^Ic\"", "16610a620963", 34638},
    {"\"testpasswordfortests\"", "527465737470617373776f7264666f727465737473", 39907},
    {"abc", "0d616263", 8986},
    {"*KV/x", "152a4b562f78", 26481},
    {"(\"PING\" NIL)", "011250494e470003", 13005},
    {"(\"a\" . \"b\")", "010661020662", 35481},
    {"(\"a\" \"b\")", "010661066203", 35481},
    {"((\"one\" . \"1\") (\"two\" . \"2\"))", "01010e6f6e65020631010e74776f02063203", 49186},
    {"(1 2 . 3)", "0104020404020406", 21761},
    {"(NIL)", "010003", 1},
    {"(NIL NIL)", "01000003", 1},
    {"(1 (2 (3)))", "010402010404010406030303", 21761},
    {"(\"RPUSH\" (\"mytestlist\" \"four\" \"five\" \"six\"))",
     "01165250555348012a6d79746573746c69737412666f757212666976650e7369780303", 54042},
    {"(\"SET\" (\"aftersave\" \"1\"))", "010e534554012661667465727361766506310303", 37414},
    {"\"cli17672FDB2-4D29-4F10-BA7C-8EAD0E29626E\"",
     "a2636c693137363732464442322d344432392d344631302d424137432d384541443045323936323645", 3019},
};

/// The atom or list that plio holds, as PlioReader::value gives it.
Scalar value_of(PlioReader& reader) {
  Scalar value;
  REQUIRE(reader.value(value));
  return value;
}

}  // namespace

TEST_CASE("wire/plio: text, bytes and hash of each vector agree with PicoLisp") {
  for (const Vector& v : vectors) {
    INFO(v.text);
    std::string_view text = v.text;
    std::string plio;
    REQUIRE(read_lisp(text, plio).ok());
    CHECK(to_hex(plio) == v.hex);
    PlioReader reader(plio);
    const Scalar value = value_of(reader);
    CHECK(plio_hash(value) == v.hash);
    std::string printed;
    print_lisp(value, printed);
    CHECK(printed == v.text);
    CHECK(reader.next() == PlioReader::Token::end);
  }
}

TEST_CASE("wire/plio: strings and numbers at the edges of parts and chunks") {
  const struct {
    std::size_t bytes, encoded;
    const char* first_two;
  } strings[] = {{62, 63, "fa78"},   {63, 65, "fe78"},   {64, 66, "fe78"},   {317, 319, "fe78"},
                 {318, 321, "fe78"}, {319, 322, "fe78"}, {573, 577, "fe78"}, {574, 578, "fe78"}};
  for (const auto& s : strings) {
    const std::string text(s.bytes, 'x');
    std::string plio;
    append_plio(plio, Scalar(text));
    CHECK(plio.size() == s.encoded);
    CHECK(to_hex(plio.substr(0, 2)) == s.first_two);
    PlioReader reader(plio);
    CHECK(value_of(reader) == Scalar(text));
  }
  const struct {
    unsigned power;
    std::size_t encoded;
    const char* tail;
  } numbers[] = {{494, 63, "20"},     {495, 65, "8000"},   {503, 66, "0101"},
                 {511, 67, "020001"}, {2541, 321, "4000"}, {2543, 322, "0101"}};
  for (const auto& n : numbers) {
    std::string digits = "1";
    for (unsigned i = 0; i < n.power; ++i) {  // doubled digit by digit, on purpose another way
      int carry = 0;
      for (std::size_t k = digits.size(); k > 0; --k) {
        const int d = (digits[k - 1] - '0') * 2 + carry;
        digits[k - 1] = static_cast<char>('0' + d % 10);
        carry = d / 10;
      }
      if (carry != 0) digits.insert(0, 1, '1');
    }
    std::string plio;
    REQUIRE(append_plio_number(plio, digits));
    CHECK(plio.size() == n.encoded);
    if (n.power != 494 && n.power != 495 && n.power != 2541) CHECK(to_hex(plio).ends_with(n.tail));
    PlioReader reader(plio);
    CHECK(value_of(reader) == Scalar(digits, Kind::number));
  }
}

TEST_CASE("wire/plio: N1 what is not PLIO is refused, with the reason") {
  const struct {
    const char *hex, *why;
  } cases[] = {{"0104020203", "circular list"},
               {"010203", "list mark at the beginning of a list"},
               {"0103", "list mark at the beginning of a list"},
               {"03", "list mark outside a list"},
               {"02", "list mark outside a list"},
               {"0b4142", "external symbol"},
               {"0a41", "atom cut short"},
               {"fe4142", "atom cut short"},
               {"010402", "list without an end"}};
  for (const auto& c : cases) {
    INFO(c.hex);
    const std::string plio = from_hex(c.hex);
    PlioReader reader(plio);
    Scalar value;
    CHECK_FALSE(reader.value(value));
    if (std::string(c.why) == "list mark outside a list" && c.hex[1] == '3') continue;
    REQUIRE(reader.error() != nullptr);
    CHECK(std::string(reader.error()) == c.why);
  }
}

TEST_CASE("wire/plio: N3 a hundred thousand nested lists are refused without recursion") {
  const std::string plio(100'000, '\x01');
  PlioReader reader(plio);
  Scalar value;
  CHECK_FALSE(reader.value(value));
  CHECK(std::string(reader.error()) == "list nested too deep");
}

TEST_CASE("wire/plio: a tail that is a list is written as PicoLisp would write it") {
  for (const auto& [given, normal] :
       {std::pair{"0106610201066203", "010661066203"}, std::pair{"01066102"
                                                                 "00",
                                                                 "01066103"}}) {
    const std::string plio = from_hex(given);
    PlioReader reader(plio);
    CHECK(to_hex(value_of(reader).bytes) == normal);
  }
}

TEST_CASE("wire/plio: replies become messages") {
  const struct {
    const char *resp, *hex;
  } cases[] = {
      {"$5\r\nhello\r\n", "011e6d657373616765021668656c6c6f"},
      {"+OK\r\n", "011e6d657373616765020a4f4b"},
      {"_\r\n", "011e6d65737361676503"},
      {"$-1\r\n", "011e6d65737361676503"},
      {"*-1\r\n", "011e6d65737361676503"},
      {"*0\r\n", "011e6d65737361676503"},
      {"%0\r\n", "011e6d65737361676503"},
      {":2\r\n", "011e6d657373616765020404"},
      {":-7\r\n", "011e6d65737361676502040f"},
      {"(1000000000000000000000000000000\r\n", "011e6d657373616765023400000080d4dbe98ca039593e19"},
      {"*2\r\n$1\r\na\r\n$1\r\nb\r\n", "011e6d6573736167650661066203"},
      {"*2\r\n$5\r\nhello\r\n_\r\n", "011e6d6573736167651668656c6c6f0003"},
      {"%1\r\n$1\r\nf\r\n$1\r\nv\r\n", "011e6d65737361676501066602067603"},
      {"%2\r\n$1\r\nf\r\n:1\r\n$1\r\ng\r\n*2\r\n:1\r\n:2\r\n",
       "011e6d657373616765010666020402010667040204040303"},
      {"%1\r\n$1\r\nf\r\n_\r\n",
       "011e6d657373616765010666"
       "0303"},
      {"-ERR Unknown command\r\n",
       "011e6d657373616765025a4572726f723a20556e6b6e6f776e20636f6d6d616e64"},
      {"#t\r\n", "011e6d657373616765020554"},
      {"#f\r\n", "011e6d65737361676503"},
      {"=7\r\nsym:foo\r\n", "011e6d657373616765020d666f6f"},
      {"=7\r\ntxt:foo\r\n", "011e6d657373616765020e666f6f"},
      {">2\r\n+auth\r\n:3019\r\n", "01126175746802089617"},
      {">2\r\n$5\r\nerror\r\n$6\r\nNOAUTH\r\n", "01166572726f72021a4e4f41555448"},
  };
  for (const auto& c : cases) {
    INFO(c.resp);
    std::string out;
    CHECK(to_plio(c.resp, out));
    CHECK(to_hex(out) == c.hex);
  }
  std::string out;
  CHECK(to_plio(">2\r\n+auth\r\n:3019\r\n+OK cli1\r\n", out));
  CHECK(to_hex(out) == "01126175746802089617011e6d657373616765021e4f4b20636c6931");
  CHECK(plio_proof("cli1") == 3019);
  CHECK_FALSE(to_plio("*2\r\n:1\r\n", out));
}

TEST_CASE("wire/plio: a stored list as a map's value continues its pair") {
  std::string reply = "%1\r\n$1\r\ng\r\n=10\r\npli:";
  reply += from_hex("010402040403") + "\r\n";
  std::string out;
  REQUIRE(to_plio(reply, out));
  CHECK(to_hex(out) == "011e6d657373616765010667040204040303");
}

}  // namespace kv

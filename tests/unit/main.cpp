// The unit tests' main: Catch2's, with a reporter for tests/run. Never holds a test.
//
// One TAP line for a test case, as in every other suite: Catch2's own TAP reporter writes one for
// an assertion, and a test that tries a million random states would count a million times.
//
// With sanitizers g++ 12 warns about std::regex, which Catch2's implementation includes; the
// warning is wrong and not about our code, so it is silenced in this file alone.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace {

class CaseReporter : public Catch::StreamingReporterBase<CaseReporter> {
 public:
  explicit CaseReporter(const Catch::ReporterConfig& config) : StreamingReporterBase(config) {}
  static std::string getDescription() { return "TAP, a line for each test case"; }

  void assertionStarting(const Catch::AssertionInfo&) override {}
  bool assertionEnded(const Catch::AssertionStats& stats) override {
    const Catch::AssertionResult& result = stats.assertionResult;
    if (result.isOk()) return true;
    std::string text = result.getSourceInfo().file;
    text +=
        ":" + std::to_string(result.getSourceInfo().line) + ": " + result.getExpressionInMacro();
    if (result.hasExpandedExpression()) text += "   with   " + result.getExpandedExpression();
    if (result.hasMessage()) text += "   " + result.getMessage();
    for (const Catch::MessageInfo& info : stats.infoMessages) text += "   " + info.message;
    problems_.push_back(std::move(text));
    return true;
  }
  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    const bool good = stats.totals.assertions.allOk() && problems_.empty();
    // A case that asserted nothing has shown nothing.
    const bool empty = stats.totals.assertions.total() == 0;
    stream << (good && !empty ? "ok " : "not ok ") << ++count_ << " - " << stats.testInfo.name
           << "\n";
    if (empty) stream << "# asserts nothing\n";
    for (std::string& problem : problems_) {
      for (char& c : problem) c = c == '\n' ? ' ' : c;
      stream << "# " << problem.substr(0, 2000) << "\n";
    }
    stream.flush();
    problems_.clear();
  }
  void testRunEnded(const Catch::TestRunStats&) override { stream << "1.." << count_ << std::endl; }

 private:
  std::size_t count_ = 0;
  std::vector<std::string> problems_;
};
CATCH_REGISTER_REPORTER("cases", CaseReporter)

}  // namespace

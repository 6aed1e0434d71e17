// A node:test reporter that writes the totals as JSON, and why tests failed: a file that ends before its first test says
// so on stderr only, far above in the output of the run.
const LAST_WORDS = 3000;

export default async function* totals(events) {
  const counts = {};
  const words = new Map();
  const failures = [];
  for await (const { type, data } of events) {
    if (type === 'test:stderr') {
      words.set(data.file, `${words.get(data.file) ?? ''}${data.message}`.slice(-LAST_WORDS));
    } else if (type === 'test:fail') {
      failures.push({ name: data.name, file: data.file, why: String(data.details.error?.message ?? '') });
    } else if (type === 'test:diagnostic') {
      const match = /^(pass|fail|cancelled) (\d+)$/.exec(data.message);
      if (match !== null) counts[match[1]] = Number(match[2]);
    }
  }
  yield JSON.stringify({
    passed: counts.pass ?? 0,
    failed: (counts.fail ?? 0) + (counts.cancelled ?? 0),
    failures: failures.map((failure) => ({ ...failure, stderr: words.get(failure.file) ?? '' })),
  });
}

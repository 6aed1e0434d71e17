/** What a server answers to the questions about one read: `yes` where one answer is, else all of them. */
export async function verdictOf(
  questions: readonly string[],
  run: (sql: string) => Promise<Record<string, unknown>[]>,
): Promise<string> {
  const answers = new Set<unknown>();
  for (const question of questions) {
    const [row] = await run(question);
    answers.add(Object.values(row!)[0]);
  }
  return answers.has('yes') ? 'yes' : [...answers].join(', ');
}

const PIECES =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;|[\s\S]/g;

/** Cuts a text at semicolons outside quotes and comments; comments in front of a command are left out, and empty commands too. */
export function splitCommands(text: string): string[] {
  const commands: string[] = [];
  let current = '';
  const end = () => {
    if (current.trim() !== '') commands.push(current.trim());
    current = '';
  };
  for (const [piece] of text.matchAll(PIECES)) {
    const isComment = piece.startsWith('--') || piece.startsWith('/*');
    if (piece === ';') end();
    // Inside a command a comment may mean something: a routing hint after EXPLAIN ROUTE.
    else if (!isComment || current.trim() !== '') current += piece;
  }
  end();
  return commands;
}

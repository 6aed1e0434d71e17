const PIECES =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;|[\s\S]/g;

/** Cuts a text at semicolons outside quotes and comments; comments and empty commands are left out. */
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
    // In SQL a comment may be a routing hint.
    else if (!isComment || /^\s*explain\b/i.test(current)) current += piece;
    else current += ' ';
  }
  end();
  return commands;
}

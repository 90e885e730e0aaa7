/** Ends the process where its Node.js is too old. Entries import it alone, and the rest by `import()`: an older one can't even read that. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 11)) {
  console.error(
    `HotSwap needs Node.js 24.11 or newer; this is ${process.versions.node}. After "npm ci", npm run (npm start, npm run module) uses one that fits.`,
  );
  process.exit(1);
}

export {};

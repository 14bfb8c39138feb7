// Before anything is drawn: the theme that was chosen here, so that nothing flashes.
try {
  const theme = localStorage.getItem('leveret.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // As the system has it.
}

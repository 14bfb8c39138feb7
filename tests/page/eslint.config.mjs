// Style of the page and of its tests. Nothing here needs a plugin.

const NO_MARKUP = [
  {
    selector: 'AssignmentExpression[left.property.name=/^(inner|outer)HTML$/]',
    message: 'text never becomes markup: use html``',
  },
  {
    selector: 'CallExpression[callee.property.name=/^(insertAdjacentHTML|write|writeln|setHTMLUnsafe)$/]',
    message: 'text never becomes markup: use html``',
  },
  {
    selector: "CallExpression[callee.property.name='setAttribute'][arguments.0.value='style']",
    message: 'the page allows no style in markup: use css=${{…}}',
  },
];

const rules = {
  'array-callback-return': 'error',
  'consistent-return': 'off',
  eqeqeq: 'error',
  'no-alert': 'error',
  'no-console': 'error',
  'no-constructor-return': 'error',
  'no-dupe-keys': 'error',
  'no-duplicate-imports': 'error',
  'no-eval': 'error',
  'no-implied-eval': 'error',
  'no-new-func': 'error',
  'no-redeclare': 'error',
  'no-restricted-syntax': ['error', ...NO_MARKUP],
  'no-script-url': 'error',
  'no-shadow-restricted-names': 'error',
  'no-undef': 'off',
  'no-unreachable': 'error',
  'no-unused-vars': ['error', {argsIgnorePattern: '^_'}],
  'no-use-before-define': ['error', {functions: false, classes: false, variables: false}],
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  'prefer-template': 'error',
  'max-lines': ['error', {max: 400, skipBlankLines: false, skipComments: false}],
  'max-lines-per-function': ['error', {max: 70, skipComments: true}],
};

export default [
  {
    files: ['broker/page/**/*.js', 'tests/page/**/*.mjs'],
    rules,
    linterOptions: {reportUnusedDisableDirectives: 'error'},
  },
  {files: ['broker/page/app/first.js'], languageOptions: {sourceType: 'script'}},
  {files: ['tests/page/**/*.mjs'], rules: {'no-console': 'off', 'no-restricted-syntax': 'off'}},
];

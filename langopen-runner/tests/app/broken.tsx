export default { hello: () => <b> };

export default { hello: () => <b>hello</b> };

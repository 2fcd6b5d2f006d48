// What a simulated crowd is called and says. Invented; nobody's real words.

export const COLORS = ['#ffd166', '#ff8a5c', '#ff7eb6', '#c49bff', '#6cc8ff', '#5ff0c0', '#c8f05a'];

export const NAMES = [
  '小满', '阿柚', '北岛的风', '晚安月亮', '橘子汽水', '一只海獭', '山有木兮', '不吃香菜', '雨夜电台', '麻薯团子',
  '青柠', '云朵搬运工', '南方以南', '老周', '柚子茶', '半糖去冰', '鲸落', '夜航船', '豆包', '小林同学',
  'Mika', 'Theo', 'nightowl', 'Sofía', 'Jonas', 'pixelfox', 'Amara', 'Kenji', 'lofi_lena', 'Ravi',
  'Noor', 'Elliot', 'June', 'Marek', 'Yuki', 'Bea', 'Oskar', 'Priya', 'sam_w', 'Lucía',
];

export const LINES = {
  zh: [
    '打卡', '来了来了', '晚上好呀', '这画面绝了', '极光也太美了吧', '可以当壁纸', '好治愈', '哈哈哈哈', '666', '前方高能',
    '那艘小船要去哪', '水面的倒影好真', '月亮好圆', '有人一起看吗', '刚下班，来放松一下', '第一次见这么多弹幕', '弹幕护体', '这里是成都，晚安', '广州报到',
    '火车来了！', '好安静，喜欢', '一个人看也不孤单', '戴上耳机更好', '截图了', '想去海边', '谁在写作业举手', '我在我在', '在加班的路过', '泪目',
    '求同款天空', '城市的灯好像星星', '看到凌晨的扣1', '1', '11111', '这风景值得熬夜', '希望今年也顺顺利利', '妈妈问我为什么跪着看', '爱了爱了', '慢慢来，都会好的', '左边那栋楼还亮着灯',
  ],
  en: [
    'hello from Lisbon', 'good evening everyone', 'this is so calm', 'the reflections!!', 'wallpaper please', 'look at that aurora', 'where is the little boat going?', 'first time here, hi',
    'cozy', 'lol', 'W', 'best corner of the internet', 'night train!', 'the moon looks huge tonight', 'greetings from Osaka', 'who else is studying?', 'me', 'same',
    'I could watch this for hours', 'someone still works on the 9th floor', 'tea in hand, ready', 'that green...', 'so many of us tonight', 'wave to the boat 👋', 'ok this is beautiful', 'goosebumps',
    'nice and smooth here', '3 am and no regrets', 'sending this to my sister', 'deep breath', 'hi from the back row', '🌊🌊🌊',
  ],
};

export const MOMENTS = {
  star: ['流星！！！', '许愿许愿', '快许愿', '✨✨✨', '看到了看到了', '啊啊啊错过了', '刚才那是流星吗', 'make a wish!', 'shooting star!!', 'did you see that?', 'wished for sleep', '希望大家都好'],
  fireworks: ['烟花！！！', '哇————', '前方高能', '好美啊啊啊', '🎆🎆🎆', '新年快乐（提前）', '烟花倒映在海里', 'FIREWORKS', 'wooow', 'the sea lights up!', '🎇', '合影合影', 'everyone look up', '泪目了'],
};
